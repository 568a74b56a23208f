"""What the commands print with `--json`: one type for each command.

docs/generate.py writes the published schemas from them, and the tests compare real output with these. A field that is
not `NotRequired` is there whenever the command succeeds. The text beside a type is its description.
"""

from typing import Annotated, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic reads no other below Python 3.12

Time = Annotated[str, "Time in UTC, as ISO 8601 writes it."]


class Change(TypedDict):
    """One object that was changed, or would be."""

    action: Literal["create", "update", "delete", "recover", "verify"]
    kind: Annotated[str, "Kind of Kubernetes or of a cloud; Release is the Helm release itself."]
    name: str
    namespace: NotRequired[Annotated[str, "Namespace of an object of Kubernetes; empty if it is in none."]]
    fields: NotRequired[Annotated[list[str], "First fields that differ, as dotted paths."]]


class Kept(TypedDict):
    """One object that stays."""

    kind: str
    name: str
    namespace: NotRequired[str]
    reason: NotRequired[Annotated[str, "Why it stays although its deletion was asked for."]]


class Place(TypedDict):
    """Name and namespace of the Helm release."""

    name: str
    namespace: str


class DeployedRelease(Place):
    """The Helm release after a deploy."""

    revision: int


class Service(TypedDict):
    """The Service that answers the tracking API."""

    name: str
    namespace: str
    port: int


class Versions(TypedDict):
    """What is deployed."""

    mlflow: str
    chart: str


class Deployed(TypedDict):
    """Where MLflow is, what runs there, and what a deploy changed."""

    tracking_uri: Annotated[str, "Address for clients in the cluster."]
    ui_url: Annotated[str, "Address of the UI; empty without a route."]
    ui_says: Annotated[str, "What the UI's address answered; empty if it was not tried."]
    access: Annotated[Literal["open", "users"], "Who may use the server."]
    artifact_uri: Annotated[str, "Where the server stores artifacts."]
    service: Service
    release: DeployedRelease
    versions: Versions
    verified: Annotated[bool, "Whether the smoke test passed in this revision."]
    changes: list[Change]


class Removed(TypedDict):
    """What was removed, and what stays."""

    release: Place
    changes: list[Change]
    kept: list[Kept]


class Plan(TypedDict):
    """What a deploy would change."""

    changes: list[Change]
    changed: Annotated[bool, "Whether there are changes."]
    warnings: Annotated[list[str], "What deserves attention before the deploy."]


class Deploy(TypedDict):
    """What a deploy did. With `enabled: false`, what it removed and what stays."""

    outputs: Deployed | Removed
    seconds: float
    log: Annotated[str, "File with the full log."]


class Destroy(TypedDict):
    """What was removed, and what stays."""

    outputs: Removed


class Claim(TypedDict):
    """A volume of the old release."""

    name: str
    size: str
    holds: Literal["database", "artifacts"]


class Files(TypedDict):
    """Artifacts on one side of an adoption."""

    files: int
    bytes: int
    checksum: NotRequired[str]


class Located(TypedDict):
    """A column of the database that names locations of artifacts."""

    column: str
    rows: int
    location: str


class Table(TypedDict):
    """One table on one side of an adoption."""

    rows: int
    checksum: str


class Adopted(TypedDict):
    """What was found of an old release, and how both sides compare."""

    stage: Annotated[
        Literal["absent", "found", "copied", "moving", "done"],
        "How far the adoption is: `absent` without an old release, `found` before anything was taken over, `copied` "
        "while the old objects are still there, `moving` when they are gone, `done` after it.",
    ]
    check: Annotated[bool, "Whether nothing was to be changed."]
    chart: str
    app_version: str
    artifacts: Annotated[str, "Where the old release keeps artifacts, in words."]
    artifacts_next: Annotated[list[str], "What becomes of them, in words."]
    files: Annotated[dict[Literal["old", "new"], Files], "Artifacts on both sides, once they were compared."]
    moved: Annotated[list[Located], "Locations that now lead to the new store."]
    elsewhere: Annotated[list[Located], "Locations that lead to neither store."]
    claims: list[Claim]
    holds: Annotated[dict[str, str], "What the old database holds, by name."]
    tables: Annotated[dict[str, dict[Literal["old", "new"], Table]], "Both sides of each table that was compared."]
    different: Annotated[list[str], "Tables that differ."]
    lines: Annotated[list[str], "The comparison, in words."]


class Compared(TypedDict):
    """What was found, with `--check`."""

    adopted: Adopted


class TakenOver(Deployed):
    """What was found and taken over, and what the deploy after it did."""

    adopted: Adopted


class Side(TypedDict):
    """One kind of thing on one side of a move."""

    count: int
    checksum: str


class Moved(TypedDict):
    """What another server or a directory holds, and how both sides compare after the move."""

    stage: Annotated[Literal["found", "moved"], "`found` with `--check`."]
    check: Annotated[bool, "Whether nothing was to be changed."]
    source: Annotated[str, "Address or directory."]
    counts: Annotated[dict[str, int], "What the source holds, counted."]
    not_taken: Annotated[dict[str, int], "What stays behind, counted."]
    kinds: Annotated[dict[str, dict[Literal["old", "new"], Side]], "Both sides of each kind of thing."]
    different: Annotated[list[str], "What differs."]
    unread: Annotated[list[str], "What cannot be read."]
    differences: int
    elsewhere: Annotated[dict[str, int], "Locations that lead to neither store, counted."]
    written: Annotated[dict[str, int], "What this run wrote, counted."]
    copied: Annotated[int, "Files that this run copied."]
    lines: Annotated[list[str], "All of it, in words."]


class Move(TypedDict):
    """What a move from another server or a directory found and did."""

    adopted: Moved


class Adopt(TypedDict):
    """What an adoption found and did."""

    outputs: Compared | TakenOver | Move
    seconds: float
    log: Annotated[str, "File with the full log."]


class InDatabase(TypedDict, total=False):
    """What a rotation did in the database; empty if it did nothing there."""

    verb: Literal["rekey"]
    at: Time
    result: Literal["ok"]
    webhooks: Annotated[int, "Secrets of webhooks that were encrypted again."]
    gateway_secrets: Annotated[int, "Secrets of the AI gateway that were encrypted again."]
    passwords: Annotated[int, "Passwords that were set."]
    connections_ended: Annotated[int, "Connections of former passwords that were ended."]


class Rotated(TypedDict):
    """Which Secrets were rotated, and what that changed."""

    secrets: Annotated[list[str], "Names of the Secrets."]
    database: InDatabase
    changes: list[Change]


class Rotate(TypedDict):
    """What a rotation did, or would do."""

    outputs: Rotated
    seconds: float
    log: Annotated[str, "File with the full log."]


class StatusRelease(DeployedRelease):
    """The Helm release as the cluster has it."""

    status: Annotated[str, "Helm's status of the revision, such as `deployed`, `failed` or `pending-upgrade`."]
    updated: Time
    verified: Annotated[bool, "Whether the smoke test passed in this revision."]


class Replicas(TypedDict):
    """Servers."""

    wanted: int
    ready: int


class Storage(TypedDict):
    """The artifact store."""

    uri: str
    claim: NotRequired[Annotated[str, "Volume claim, if the store is a volume."]]
    size: NotRequired[Annotated[str, "Size of the volume, as Kubernetes writes it."]]
    phase: NotRequired[str]
    free: NotRequired[Annotated[int, "Bytes that are free on the volume."]]


class Database(TypedDict):
    """The database. Sizes in bytes."""

    kind: Literal["in-cluster", "external"]
    claim: NotRequired[str]
    size: NotRequired[Annotated[str, "Size of the volume, as Kubernetes writes it."]]
    phase: NotRequired[str]
    bytes: NotRequired[Annotated[int | None, "Size of the database; null if its pod did not answer."]]
    free: NotRequired[Annotated[int, "What is free on the volume."]]
    daily: NotRequired[Annotated[int, "Growth a day, estimated from the runs of the last 30 days."]]
    full_in_days: NotRequired[Annotated[int, "Days until the volume is full."]]


class Task(TypedDict, total=False):
    """The last good run of a backup or a drill, and a failure since. Empty if the cluster knows of none."""

    at: Time
    ago: Annotated[str, "How long ago, in words."]
    backup: Annotated[str, "Name of the backup."]
    bytes: int
    secrets: Annotated[bool, "Whether the backup contains MLflow's keys."]
    failed_at: Time
    failure: str
    aside: Annotated[bool, "Whether the data from before a restore is still put aside."]


class Problem(TypedDict):
    """What keeps people from the UI."""

    cause: str
    fix: str


class Route(TypedDict):
    """What the UI's address answered through its controller."""

    address: str
    through: Annotated[str, "Pod that was asked."]
    status: Annotated[int | None, "HTTP status; null if nothing answered or nobody was asked."]
    says: Annotated[str, "The result, in words."]
    ok: Annotated[bool | None, "Whether people reach the UI; null if that is not known."]
    problems: list[Problem]


class Nothing(TypedDict):
    """An empty object."""


class Status(TypedDict):
    """One look at a release."""

    state: Annotated[
        Literal["Active", "Waiting", "Blocked", "Absent"],
        "`Blocked` needs a person; `Waiting` may end by itself.",
    ]
    cause: Annotated[str, "Why it is not Active."]
    fix: Annotated[str, "What to do about it."]
    release: StatusRelease | Nothing
    versions: Versions | Nothing
    tracking_uri: Annotated[str, "Address for clients in the cluster."]
    ui_url: Annotated[str, "Address of the UI; empty without a route."]
    access: Annotated[Literal["", "open", "users"], "Who may use the server."]
    replicas: Replicas | Nothing
    storage: Storage | Nothing
    database: Database | Nothing
    last_backup: Annotated[str | None, "Time of the last good backup."]
    route: Route | Nothing
    backup: Task
    drill: Task


class Check(TypedDict):
    """One check."""

    name: str
    result: Literal["ok", "warning", "failed"]
    cause: str
    fix: Annotated[str, "A command if there is one."]


class Doctor(TypedDict):
    """The checks, in their order. What could not be asked any more is left out."""

    checks: list[Check]


class Proof(TypedDict):
    """What the smoke test logged and read back."""

    run_id: str
    artifact_uri: str
    model: str
    model_version: str
    seconds: float


class Verify(TypedDict):
    """The smoke test passed."""

    proof: Proof


class Logs(TypedDict):
    """The last lines of each pod of a component."""

    pods: Annotated[dict[str, str], "Lines by the pod's name, or by `POD/CONTAINER` if a pod has several containers."]


class Open(TypedDict):
    """The port leads to the server until the command ends."""

    url: str


class Made(TypedDict):
    """A backup."""

    id: Annotated[str, "Its name, which begins with the time."]
    created: Time
    mlflow: Annotated[str, "MLflow's version."]
    schema: Annotated[str, "Revision of the database's schema."]
    bytes: Annotated[int, "Size of the dump."]
    counts: Annotated[dict[str, int], "Rows by what they are, such as `runs`."]
    secrets: Annotated[bool, "Whether MLflow's keys are in it, encrypted."]
    artifacts: Literal["none", "copy", "versioning"]
    reason: Annotated[str, "Why it was made: `asked`, `schedule` or `upgrade`."]


class Unusable(TypedDict):
    """A backup whose manifest cannot be read."""

    id: str
    unusable: Annotated[str, "Why."]


class Job(TypedDict):
    """What every Job says."""

    verb: str
    at: Time
    result: Literal["ok"]
    warnings: NotRequired[list[str]]


class BackupMade(Made, Job):
    """A backup was made."""

    store: Annotated[str, "Where it is."]
    seconds: float
    pruned: NotRequired[Annotated[int, "Older backups that were removed."]]


class BackupsListed(Job):
    """Which backups there are."""

    backups: list[Made | Unusable]
    store: Annotated[str, "Where they are."]


class BackupsPruned(Job):
    """Which backups were removed."""

    removed: list[str]
    cut_off: Annotated[list[str], "Halves of backups that were cut off."]
    kept: list[str]
    objects_removed: Annotated[int, "Files of artifacts that no backup needs any more."]


class Backup(TypedDict):
    """What `backup` did."""

    outputs: BackupMade | BackupsListed | BackupsPruned
    seconds: float


class Aside(TypedDict, total=False):
    """What a restore put aside."""

    restoring: Annotated[str, "Backup that was restored."]
    state: Annotated[str, "`done`, or `restoring` if the restore was cut off."]
    schema: Annotated[str, "Schema of the database that it came from."]


class Restored(Job):
    """A backup was restored."""

    backup: Made
    replaced: Annotated[dict[str, int], "What was there before, counted."]
    aside: Annotated[str, "Schema of the database that holds what was there before."]
    seconds: float
    artifacts: NotRequired[Annotated[dict[str, int], "Artifacts that were put back, counted."]]


class Drilled(Job):
    """A restore was rehearsed."""

    backup: Made
    tables: int
    rows: int
    seconds: float


class Undone(Job):
    """What a restore had put aside is back."""

    undone: Aside | None
    counts: Annotated[dict[str, int], "What is there now, counted."]


class Discarded(Job):
    """What a restore had put aside is deleted."""

    discarded: Aside | None


class SecretsRestored(Job):
    """The Secrets of a backup were put back."""

    backup: Made
    names: Annotated[list[str], "Parts that the backup holds."]
    age: Annotated[str, "The Secrets as the backup has them: a file of age, encrypted, in base64."]


class Restore(TypedDict):
    """What `restore` did."""

    outputs: Restored | Drilled | Undone | Discarded | SecretsRestored
    seconds: float


class Collected(Job):
    """What was deleted for good, or would be."""

    runs: int
    experiments: int
    logged_models: int
    referenced: Annotated[int, "What stays because a registered model refers to it."]
    days: Annotated[int, "Age in days from which it goes."]
    deleted: Annotated[bool, "Whether it was deleted, or only counted."]
    database_bytes: int
    bloat: NotRequired[Annotated[str, "That the index of metrics is too large, and the cure."]]
    orphans: NotRequired[Annotated[dict[str, int], "Directories of artifacts that belong to nothing in the database."]]
    orphan_paths: NotRequired[Annotated[list[str], "The first of them."]]
    orphans_unknown: NotRequired[Annotated[str, "Why they could not be looked for."]]


class Gc(TypedDict):
    """What a clean-up did, or would do."""

    outputs: Collected
    seconds: float


class Error(TypedDict):
    """Why a command failed."""

    code: Annotated[str, "Code of the error, such as NML402."]
    cause: str
    fix: NotRequired[Annotated[str, "What to do about it."]]
    task: NotRequired[Annotated[str, "Task of the playbook that failed."]]
    log: NotRequired[Annotated[str, "File with the full log."]]
    page: Annotated[str, "File of the page about this error."]


class Failure(TypedDict):
    """The command failed."""

    error: Error


DOCUMENTS: dict[str, type] = {
    "adopt": Adopt,
    "backup": Backup,
    "deploy": Deploy,
    "destroy": Destroy,
    "doctor": Doctor,
    "gc": Gc,
    "logs": Logs,
    "open": Open,
    "plan": Plan,
    "restore": Restore,
    "rotate": Rotate,
    "status": Status,
    "verify": Verify,
}
"""The type of what each command prints if it succeeds."""
