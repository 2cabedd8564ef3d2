"""What makes tensorflow-io take a server of ours for S3, for tests and benchmarks."""

from __future__ import annotations


def client_environment(url: str) -> dict[str, str]:
    """Environment variables of a process that reads s3:// from the server at `url`."""
    return {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "S3_ENDPOINT": url,
        "S3_USE_HTTPS": "0",
        "S3_VERIFY_SSL": "0",
    }
