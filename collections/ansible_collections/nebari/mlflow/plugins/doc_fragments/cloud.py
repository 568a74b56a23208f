# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the modules of all clouds document alike. A fragment may hold no return values: a test keeps those equal."""

from __future__ import annotations


class ModuleDocFragment:
    """Options that several cloud modules share."""

    RESOURCE = r"""
notes:
  - In check mode no write call is made, and RV(changes) are what a run would then do. An object that another object
    needs may still be missing then; it counts as one that an earlier task of the play creates.
options:
  state:
    description: Whether the object exists.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Reads only, and predicts every change.
    support: full
  diff_mode:
    description: Shows what this module manages, before and after.
    support: full
"""

    OWNED = r"""
options:
  owner:
    description: Mark of the deployment, written as the tag C(nebari-mlflow-owner).
    type: str
    required: true
  tags:
    description: Tags to set. Other tags stay.
    type: dict
    default: {}
"""

    ACCOUNT = r"""
options:
  replication:
    description: How the account is replicated. Empty is V(LRS) for a new one, and leaves one that exists as it is.
    type: str
    choices: ["", LRS, ZRS, GRS, RAGRS, GZRS, RAGZRS]
    default: ""
  network_rules:
    description: Who reaches the account. Without it, that stays as it is; a new one is open to all who have a right.
    type: dict
    suboptions:
      default_action:
        description: What happens to everybody else.
        type: str
        choices: [Allow, Deny]
        default: Deny
      bypass:
        description: Services that are let in, as Azure writes them.
        type: str
        default: AzureServices
      ip_rules:
        description: Public IPv4 addresses and ranges to let in. Those that others let in stay.
        type: list
        elements: str
        default: []
      subnet_ids:
        description: Subnets to let in, by their ids. Those that others let in stay.
        type: list
        elements: str
        default: []
"""

    LOOK = r"""
notes:
  - Makes no write call. With O(state=present) it reads all that the role's tasks read, so that a missing permission,
    another owner or a wrong name ends the play before the first change.
options:
  namespace:
    description: Kubernetes namespace of the service account.
    type: str
    required: true
  state:
    description: What the role is about to do. With V(absent), only ownership and what a removal needs is read.
    type: str
    choices: [present, absent]
    default: present
  delete_data:
    description: Whether a removal also deletes the data.
    type: bool
    default: false
attributes:
  check_mode:
    description: Reads only.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
"""

    GCP = r"""
notes:
  - The options for credentials are those of the collection google.cloud, so one set serves all tasks of a play. If one
    of them is given, the environment's credentials are not looked at.
  - Otherwise the environment names them by E(GCP_ACCESS_TOKEN), E(GOOGLE_CREDENTIALS), E(GCP_SERVICE_ACCOUNT_CONTENTS),
    E(GCP_SERVICE_ACCOUNT_FILE) (each a key or the path of its file) or E(GCP_SERVICE_ACCOUNT_EMAIL), and if it names
    none, the application default credentials are used.
  - A credential that is named is used or refused, never replaced by another. Two that are named need O(auth_kind).
  - Another universe than C(googleapis.com) comes from E(GOOGLE_CLOUD_UNIVERSE_DOMAIN) or from a service account's key.
requirements:
  - google-auth >= 2.20
  - requests >= 2.20
options:
  cloud_project:
    description:
      - Id of the Google Cloud project. Defaults to E(GCP_PROJECT).
      - The modules for one object take it as O(ignore:project) too, as the collection google.cloud names it.
    type: str
    required: true
  auth_kind:
    description: Which kind of credentials to use. Defaults to E(GCP_AUTH_KIND), then to the kind that is named.
    type: str
    choices: [machineaccount, serviceaccount, accesstoken, application]
  service_account_email:
    description: Service account of this machine, for V(machineaccount). Defaults to the machine's default account.
    type: str
  service_account_file:
    description: File with the key of a service account.
    type: path
  service_account_contents:
    description: Key of a service account, as JSON or as a mapping.
    type: jsonarg
  access_token:
    description: Access token.
    type: str
  scopes:
    description: OAuth scopes. Defaults to E(GCP_SCOPES), then to C(https://www.googleapis.com/auth/cloud-platform).
    type: list
    elements: str
  env_type:
    description: Word to add to the user agent. Defaults to E(GCP_ENV_TYPE).
    type: str
"""

    AWS = r"""
notes:
  - The options for credentials are those of the collection amazon.aws, so one set serves all tasks of a play. If one
    of them is given, the environment's credentials are not looked at.
  - Otherwise the environment names a profile or keys. What nobody names is found as by the AWS CLI, such as the
    machine's own role. A profile with C(role_arn) assumes that role.
  - A credential that is named is used or refused, never replaced by another. A profile together with keys is refused.
requirements:
  - boto3 >= 1.34.63
options:
  region:
    description:
      - Region of AWS. Defaults to E(AWS_REGION), then to E(AWS_DEFAULT_REGION), then to the region of the profile.
    type: str
    aliases: [aws_region]
  access_key:
    description: Id of an access key. Defaults to E(AWS_ACCESS_KEY_ID), then to E(AWS_ACCESS_KEY).
    type: str
    aliases: [aws_access_key_id, aws_access_key]
  secret_key:
    description: Secret of the access key. Defaults to E(AWS_SECRET_ACCESS_KEY), then to E(AWS_SECRET_KEY).
    type: str
    aliases: [aws_secret_access_key, aws_secret_key]
  session_token:
    description: Session token of temporary keys. Defaults to E(AWS_SESSION_TOKEN).
    type: str
    aliases: [aws_session_token]
  profile:
    description: Profile of the AWS CLI. Defaults to E(AWS_PROFILE), then to E(AWS_DEFAULT_PROFILE).
    type: str
    aliases: [aws_profile]
  endpoint_url:
    description: URL to call instead of AWS's own endpoints. Defaults to E(AWS_URL).
    type: str
    aliases: [aws_endpoint_url]
  aws_ca_bundle:
    description: File with the certificate authorities to trust. Defaults to E(AWS_CA_BUNDLE).
    type: path
  validate_certs:
    description: Whether to verify AWS's certificates.
    type: bool
    default: true
  aws_config:
    description: Parameters of botocore's client configuration to add. Retries and timeouts stay those of this module.
    type: dict
"""

    AZURE = r"""
notes:
  - The options for credentials are those of the collection azure.azcollection, so one set serves all tasks of a play.
  - With O(auth_source=auto), they come from O(profile), from the options for a principal, from the section
    E(AZURE_PROFILE) of C(~/.azure/credentials), from a principal in the environment, from the section C(default) of
    that file, or from what azure-identity finds, such as C(az login). The first of these counts.
  - The environment names a principal by E(ARM_CLIENT_ID), E(ARM_CLIENT_SECRET), E(ARM_TENANT_ID), by the variables of
    Azure's SDKs, or by those of azure.azcollection (E(AZURE_CLIENT_ID), E(AZURE_SECRET), E(AZURE_TENANT)).
  - A credential that is named is used or refused, never replaced by another. A client id without a secret, a
    certificate or a token file is a managed identity of the machine.
requirements:
  - azure-identity >= 1.16.1
  - azure-mgmt-core >= 1.4
options:
  auth_source:
    description:
      - Where the credentials come from. Defaults to E(ANSIBLE_AZURE_AUTH_SOURCE).
      - With V(cli), those of C(az login) are used, whatever else is set. V(msi) is the machine's managed identity.
    type: str
    choices: [auto, cli, env, credential_file, msi]
    default: auto
  profile:
    description: Section of C(~/.azure/credentials). Defaults to E(AZURE_PROFILE).
    type: str
  subscription_id:
    description:
      - Id of the subscription. Defaults to that of the profile, then to E(ARM_SUBSCRIPTION_ID), then to
        E(AZURE_SUBSCRIPTION_ID), then, if no principal is named, to the default subscription of C(az login).
    type: str
  client_id:
    description: Client id of the principal, or of a managed identity.
    type: str
  secret:
    description: Client secret of the principal.
    type: str
  tenant:
    description: Tenant of the principal.
    type: str
  cloud_environment:
    description:
      - V(AzureCloud), V(AzureUSGovernment) or V(AzureChinaCloud), or Terraform's V(public), V(usgovernment), V(china).
        Defaults to that of the profile, then to E(ARM_ENVIRONMENT), then to E(AZURE_CLOUD_ENVIRONMENT).
    type: str
  x509_certificate_path:
    description: PEM file with the principal's certificate and its key, instead of O(secret).
    type: path
"""
