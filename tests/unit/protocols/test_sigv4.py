"""Signature Version 4 against the examples that AWS publishes for S3.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from af.protocols import sigv4

EXAMPLE = sigv4.Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
NOW = datetime(2013, 5, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "body", "signature"),
    [
        pytest.param(
            "GET",
            "/test.txt",
            [],
            {"Range": "bytes=0-9"},
            b"",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            id="part of an object",
        ),
        pytest.param(
            "PUT",
            "/test$file.text",
            [],
            {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            b"Welcome to Amazon S3.",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            id="put, with a name that is encoded",
        ),
        pytest.param(
            "GET",
            "/",
            [("lifecycle", "")],
            {},
            b"",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            id="a query without a value",
        ),
        pytest.param(
            "GET",
            "/",
            [("prefix", "J"), ("max-keys", "2")],
            {},
            b"",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            id="a query that is put in order",
        ),
    ],
)
def test_the_published_examples(
    method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: bytes, signature: str
) -> None:
    added = sigv4.sign(
        EXAMPLE,
        method=method,
        host="examplebucket.s3.amazonaws.com",
        path=sigv4.encode_path(path),
        query=query,
        headers=headers,
        body_sha256=hashlib.sha256(body).hexdigest(),
        region="us-east-1",
        now=NOW,
    )
    assert added["Authorization"].rpartition("Signature=")[2] == signature
    assert added["x-amz-date"] == "20130524T000000Z"
    assert "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request," in added["Authorization"]


def test_the_secret_is_not_shown() -> None:
    assert "EXAMPLEKEY" not in repr(EXAMPLE)


def test_queries_and_paths_are_encoded_as_aws_wants() -> None:
    assert sigv4.encode_query([("b", "a b/c"), ("a", "~é")]) == "a=~%C3%A9&b=a%20b%2Fc"
    assert sigv4.encode_path("/bucket/a b+c") == "/bucket/a%20b%2Bc"
