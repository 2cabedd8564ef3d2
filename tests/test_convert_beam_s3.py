"""A conversion with Apache Beam that reads and writes object storage, against a server of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pcr_tf.format.example import Values
from tests.conversion import digests, jpeg, run, write_tfrecord
from tests.servers import Server, s3_environment, s3_server
from tests.test_object_stores import needs_tensorflow_io, put_folder, run_python

pytest.importorskip("apache_beam", reason="needs Apache Beam: pip install 'pcr-tf[beam]'")

FLAGS = ("--examples_per_record=4", "--profile_images=0")
# It holds the times at which the files of the source were made, which are the server's in one case.
STATE = ".pcr-convert/state.json"
IN_THIS_PROCESS = ("--runner=FnApiRunner",)
IN_TWO_PROCESSES = (
    "--runner=FnApiRunner",
    "--direct_running_mode=multi_processing",
    "--direct_num_workers=2",
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two TFRecord files."""
    folder = tmp_path_factory.mktemp("source")
    for part in range(2):
        images = [jpeg(10 * part + n) for n in range(7)]
        records: list[dict[str, Values]] = [
            {"image/encoded": [image], "n": [n]} for n, image in enumerate(images)
        ]
        write_tfrecord(folder / f"part-{part}.tfrecord", records)
    return folder


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Iterator[Server]:
    """A server that holds the source as s3://bucket/in/."""
    with s3_server(tmp_path_factory.mktemp("servers") / "s3") as server:
        put_folder(f"{server.url}/bucket/in", source)
        yield server


@pytest.fixture(scope="module")
def local(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the local job leaves of the local source."""
    output = tmp_path_factory.mktemp("converted") / "local"
    done = run("convert", f"--input={source}/*.tfrecord", f"--output={output}", *FLAGS)
    assert done.returncode == 0, done.stderr
    return {name: digest for name, digest in digests(output).items() if name != STATE}


def _stored(server: Server, prefix: str) -> dict[str, str]:
    """SHA-256 of the objects below `prefix`, by name below it; not of folder markers and STATE."""
    boto3 = pytest.importorskip("boto3", reason="needs boto3: pip install 'moto[s3,server]'")
    client = boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
    )
    listing = client.list_objects_v2(Bucket="bucket", Prefix=prefix)["Contents"]
    keys = [entry["Key"] for entry in listing if not entry["Key"].endswith("/")]
    return {
        key.removeprefix(prefix): hashlib.sha256(
            client.get_object(Bucket="bucket", Key=key)["Body"].read()
        ).hexdigest()
        for key in keys
        if key != prefix + STATE
    }


def _run_beam(server: Server, output: str, runner: Sequence[str]) -> None:
    """Converts s3://bucket/in/ in a process that ends with status 0."""
    command = ["-m", "pcr_tf.cli.convert_beam", "--input=s3://bucket/in/*.tfrecord", *FLAGS]
    command += [f"--output=s3://bucket/{output}", "--", *runner]
    done = run_python(command, s3_environment(server.url))
    assert done.returncode == 0, done.stderr


@needs_tensorflow_io
def test_a_beam_job_from_s3_to_s3_leaves_the_bytes_of_the_local_job(
    s3: Server, local: dict[str, str]
) -> None:
    _run_beam(s3, "one-process", IN_THIS_PROCESS)
    assert _stored(s3, "one-process/") == local


@needs_tensorflow_io
def test_worker_processes_of_beam_write_to_s3_as_well(s3: Server, local: dict[str, str]) -> None:
    _run_beam(s3, "two-processes", IN_TWO_PROCESSES)
    assert _stored(s3, "two-processes/") == local


@needs_tensorflow_io
def test_a_beam_job_that_is_finished_on_s3_writes_nothing_when_it_runs_again(s3: Server) -> None:
    _run_beam(s3, "again", IN_THIS_PROCESS)
    s3.log.clear()
    _run_beam(s3, "again", IN_THIS_PROCESS)
    # It does delete what a job that ended between its manifest and its end would have left.
    writes = [e.path for e in s3.log.exchanges() if e.method in ("PUT", "POST")]
    assert [path for path in writes if not path.endswith("/")] == []
