"""Documents that mean the same are the same, and statements of others stay."""

from __future__ import annotations

from ansible_collections.nebari.mlflow.plugins.module_utils.aws import policies

ARN = "arn:aws:s3:::b"


def test_order_and_single_item_lists_do_not_count() -> None:
    one = {"Statement": [{"Action": ["a", "b"], "Resource": ["r"], "Principal": {"AWS": "*"}}]}
    two = {"Statement": {"Action": ["b", "a"], "Resource": "r", "Principal": "*"}}
    assert policies.canonical(one) == policies.canonical(two)
    assert policies.canonical(one) != policies.canonical({"Statement": {"Action": "a", "Resource": "r"}})


def test_our_statement_comes_once_and_others_stay() -> None:
    theirs = {"Sid": "Theirs", "Effect": "Allow"}
    first = policies.with_tls_only({"Version": "2008-10-17", "Id": "x", "Statement": [theirs]}, ARN)
    assert (first["Version"], first["Id"], first["Statement"][0]) == ("2008-10-17", "x", theirs)
    assert policies.with_tls_only(first, ARN) is first
    spoiled = {**first, "Statement": [theirs, {"Sid": policies.TLS_ONLY, "Effect": "Allow"}]}
    assert policies.with_tls_only(spoiled, ARN) == first


def test_server_may_abort_uploads_and_touch_no_other_bucket() -> None:
    statements = policies.access(ARN, "artifacts", "key")["Statement"]
    allowed = [
        action
        for each in statements
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    ]
    assert "s3:AbortMultipartUpload" in allowed
    assert not [action for action in allowed if "*" in action or "ListAllMyBuckets" in action]
    objects = [f"{ARN}/artifacts/*", f"{ARN}/artifacts-backups/*"]
    assert [each["Resource"] for each in statements] == [ARN, *objects, "key"]
    listed = statements[0]["Condition"]["StringLike"]["s3:prefix"]
    assert listed == ["artifacts", "artifacts/*", "artifacts-backups", "artifacts-backups/*"]
    whole = policies.access(ARN, "", "")["Statement"]
    assert [each["Resource"] for each in whole] == [ARN, f"{ARN}/*"]
