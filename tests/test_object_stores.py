"""What goes over the wire, by the logs of real servers: bytes, requests, and how processes end."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from pcr_tf.format import PcrReader, PcrWriter, filesystem, object_stores, open_dataset
from tests.servers import (
    ROOT,
    Exchange,
    GcsServer,
    Server,
    gcs_server,
    s3_environment,
    s3_server,
    web_server,
)
from tests.small_dataset import draw_jpeg, make_dataset
from tests.test_dataset_robustness import write_large_side_index
from tests.waiting import HANG_S

SCAN_GROUPS = (1, 4, 10)
NUM_EXAMPLES = 48

needs_tensorflow_io = pytest.mark.skipif(
    tuple(map(int, tf.__version__.split(".")[:2])) > (2, 17),
    reason="tensorflow-io, which has s3:// and http://, loads into TensorFlow 2.16 and 2.17 only: "
    "make test TF=2.17.1",
)


def run_python(
    arguments: Sequence[str], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs a Python program from the root of the sources; fails where it hangs."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )


def read_in_a_process(
    path: str, scan_groups: Sequence[int], environment: dict[str, str], *options: str
) -> dict[str, Any]:
    """What tests/read_dataset.py saw; the process must have ended with status 0."""
    groups = ",".join(map(str, scan_groups))
    done = run_python(["-m", "tests.read_dataset", path, groups, *options], environment)
    return what_was_seen(done)


def what_was_seen(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stored") / "photos.pcr"
    make_dataset(path, NUM_EXAMPLES, examples_per_record=4, num_shards=6)
    return path


def digests(folder: Path, scan_groups: Sequence[int]) -> dict[str, list[str]]:
    """Of the examples of a data set, by the reader that knows no TensorFlow."""
    reader = PcrReader(folder)
    return {
        str(groups): [hashlib.sha256(e).hexdigest() for e in reader.examples(groups)]
        for groups in scan_groups
    }


def check_exchanges(exchanges: Sequence[Exchange], folder: Path, data_path: str) -> None:
    """One request opens the data set, and one for each record brings its prefix and no more."""
    index = open_dataset(folder).index
    opening = [e for e in exchanges if not e.path.endswith(".pcr")]
    reading = [e for e in exchanges if e.path.endswith(".pcr")]
    index_bytes = (folder / "dataset.pcr-index").stat().st_size
    assert [(e.method, e.path, e.bytes) for e in opening] == [
        ("GET", f"{data_path}/dataset.pcr-index", index_bytes)
    ] * len(SCAN_GROUPS)
    expected = []
    for scan_groups in SCAN_GROUPS:
        for record in range(index.num_records):
            shard, offset, size_bytes = index.prefix(record, scan_groups)
            name = index.shard(shard)[0]
            expected.append((f"{data_path}/{name}", f"bytes={offset}-{offset + size_bytes - 1}"))
    assert sorted((e.path, e.range) for e in reading) == sorted(expected)
    assert {(e.method, e.status) for e in reading} == {("GET", 206)}
    planned = sum(map(index.prefix_bytes, SCAN_GROUPS))
    assert sum(e.bytes for e in reading) <= 1.01 * planned


# S3


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Server]:
    """A server that holds the data set as s3://bucket/photos.pcr."""
    with s3_server(tmp_path_factory.mktemp("servers") / "s3") as server:
        put_folder(f"{server.url}/bucket/photos.pcr", folder)
        yield server


def put_folder(url: str, folder: Path) -> None:
    """Stores the files of a folder below `url`."""
    for file in sorted(folder.iterdir()):
        put(f"{url}/{file.name}", file.read_bytes())


def put(url: str, data: bytes, method: str = "PUT") -> None:
    headers = {"Content-Type": "application/octet-stream"}
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    urllib.request.urlopen(request, timeout=HANG_S).close()


@needs_tensorflow_io
def test_s3_is_asked_once_for_each_record_and_for_no_other_byte(s3: Server, folder: Path) -> None:
    s3.log.clear()
    seen = read_in_a_process("s3://bucket/photos.pcr", SCAN_GROUPS, s3_environment(s3.url))
    assert seen["digests"] == digests(folder, SCAN_GROUPS)
    exchanges = s3.log.exchanges()
    check_exchanges(exchanges, folder, "/bucket/photos.pcr")
    assert seen["reads"] == len(exchanges)
    assert seen["bytes"] == sum(e.bytes for e in exchanges)


@needs_tensorflow_io
def test_a_conversion_into_s3_and_its_reading_end_with_status_0(s3: Server, tmp_path: Path) -> None:
    for n in range(12):
        image = tmp_path / "photos" / f"class-{n % 3}" / f"{n}.jpg"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(draw_jpeg(n))
    arguments = ["-m", "pcr_tf.cli.convert", f"--input={tmp_path / 'photos'}", "--quiet"]
    arguments += ["--examples_per_record=2", "--num_shards=3", "--num_workers=2"]
    environment = s3_environment(s3.url)
    local = tmp_path / "converted.pcr"
    for output in (str(local), "s3://bucket/converted.pcr"):
        done = run_python([*arguments, f"--output={output}"], environment)
        assert done.returncode == 0, done.stderr
        assert "pure virtual" not in done.stderr
    seen = read_in_a_process("s3://bucket/converted.pcr", [2], environment)
    assert seen["digests"] == digests(local, [2])
    arguments = ["-m", "pcr_tf.cli.verify", "--quiet", "s3://bucket/converted.pcr"]
    done = run_python(arguments, environment)
    assert (done.returncode, done.stdout.split(":")[-1]) == (0, " no faults\n")


_SCRIPT = """
import atexit, sys
atexit.register(lambda: print("the exit handler ran"))
from pcr_tf.data import PcrDataset
for _ in PcrDataset("s3://bucket/photos.pcr", 1):
    pass
sys.stdout.write("read, ")
{end}
"""


@needs_tensorflow_io
@pytest.mark.parametrize(
    ("end", "status"),
    [("raise ValueError('told so')", 1), ("sys.exit(7)", 7)],
)
def test_a_script_that_read_from_s3_ends_with_its_own_status(
    s3: Server, end: str, status: int
) -> None:
    done = run_python(["-c", _SCRIPT.format(end=end)], s3_environment(s3.url))
    assert done.returncode == status, done.stderr
    assert done.stdout == "read, the exit handler ran\n"
    assert "pure virtual" not in done.stderr
    assert ("ValueError: told so" in done.stderr) == (status == 1)


@needs_tensorflow_io
def test_a_writer_into_s3_ends_its_process_with_status_0(s3: Server) -> None:
    script = (
        "from pcr_tf.format import PcrWriter\n"
        "from tests.small_dataset import make_examples\n"
        "with PcrWriter('s3://bucket/written.pcr') as writer:\n"
        "    for example in make_examples(3):\n"
        "        writer.write(example)\n"
        "print('written')\n"
    )
    done = run_python(["-c", script], s3_environment(s3.url))
    assert (done.returncode, done.stdout) == (0, "written\n"), done.stderr


@needs_tensorflow_io
def test_a_missing_object_of_s3_is_named_and_the_status_is_1(s3: Server) -> None:
    arguments = ["-m", "tests.read_dataset", "s3://bucket/absent.pcr", "1"]
    done = run_python(arguments, s3_environment(s3.url))
    assert done.returncode == 1
    assert "NotFoundError" in done.stderr
    assert "absent.pcr" in done.stderr


_LOOK = "bytes=0-16383"

_OBEYS = """
import sys, time
from pcr_tf import Fidelity
from pcr_tf.data import PcrDataset
fidelity = Fidelity(path="s3://bucket/fidelity", poll_interval_s=0.2)
iterator = iter(PcrDataset("s3://bucket/photos.pcr", fidelity, reads_in_flight=1).repeat())
print("reading", flush=True)
deadline = time.monotonic() + float(sys.argv[1])
while fidelity.value != 2 and time.monotonic() < deadline:
    next(iterator)
print(fidelity.value)
"""


@needs_tensorflow_io
def test_a_fidelity_in_an_object_of_s3_reaches_a_reader_in_another_process(s3: Server) -> None:
    setting = "import sys; from pcr_tf import Fidelity; "
    setting += "Fidelity(int(sys.argv[1]), path='s3://bucket/fidelity')"
    environment = s3_environment(s3.url)
    assert run_python(["-c", setting, "1"], environment).returncode == 0
    s3.log.clear()
    command = [sys.executable, "-c", _OBEYS, str(HANG_S)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as reader:
        try:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "reading\n"
            assert run_python(["-c", setting, "2"], environment).returncode == 0
            assert reader.stdout.readline() == "2\n"
        finally:
            reader.kill()
    looks = [e for e in s3.log.exchanges() if (e.path, e.range) == ("/bucket/fidelity", _LOOK)]
    assert looks
    assert {(e.method, e.status) for e in looks} == {("GET", 206)}


# HTTP


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Server]:
    """A server that holds the data set as /photos.pcr."""
    with web_server(tmp_path_factory.mktemp("servers") / "web", folder.parent) as server:
        yield server


@needs_tensorflow_io
def test_a_web_server_is_asked_once_for_each_record_and_for_no_other_byte(
    web: Server, folder: Path
) -> None:
    web.log.clear()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    seen = read_in_a_process(f"{web.url}/photos.pcr", SCAN_GROUPS, environment)
    assert seen["digests"] == digests(folder, SCAN_GROUPS)
    check_exchanges(web.log.exchanges(), folder, "/photos.pcr")


@needs_tensorflow_io
def test_twenty_thousand_shards_are_opened_with_two_requests_to_a_web_server(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "root" / "photos.pcr"
    make_dataset(folder, num_examples=4, num_shards=1)
    num_examples = write_large_side_index(folder)
    index_bytes = (folder / "dataset.pcr-index").stat().st_size
    program = (
        "import sys; from pcr_tf.data import PcrDataset; "
        "print(int(PcrDataset(sys.argv[1], 1).cardinality()))"
    )
    with web_server(tmp_path / "web", folder.parent) as server:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = run_python(["-c", program, f"{server.url}/photos.pcr"], environment)
        exchanges = server.log.exchanges()
    assert (done.returncode, done.stdout) == (0, f"{num_examples}\n"), done.stderr
    assert {(e.method, e.path, e.status) for e in exchanges} == {
        ("GET", "/photos.pcr/dataset.pcr-index", 206)
    }
    assert len(exchanges) == 2
    assert sum(e.bytes for e in exchanges) == index_bytes


@needs_tensorflow_io
def test_an_index_is_opened_from_a_web_server_which_knows_no_folders(
    web: Server, folder: Path
) -> None:
    program = (
        "import sys; from pcr_tf.format import open_dataset; "
        "opened = open_dataset(sys.argv[1]); "
        "print(opened.index.num_examples, opened.paths[0], len(opened.index.to_bytes()))"
    )
    done = run_python(["-c", program, f"{web.url}/photos.pcr"], dict(os.environ))
    assert done.returncode == 0, done.stderr
    local = open_dataset(folder)
    first = f"{web.url}/photos.pcr/{Path(local.paths[0]).name}"
    assert done.stdout.split() == [str(NUM_EXAMPLES), first, str(len(local.index.to_bytes()))]


_SAID_OF_WHAT_IS_MISSING = """
import sys

import tensorflow as tf

from pcr_tf.data import PcrDataset

try:
    for _ in PcrDataset(sys.argv[1:] if len(sys.argv) > 2 else sys.argv[1], 1):
        pass
except tf.errors.OpError as error:
    print(error.message)
"""


@needs_tensorflow_io
def test_what_a_web_server_does_not_have_is_named(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(folder, root / "cut.pcr")
    file = sorted((root / "cut.pcr").glob("*.pcr"))[0]
    file.unlink()
    with web_server(tmp_path / "web", root) as server:

        def said(*paths: str) -> str:
            arguments = [f"{server.url}/{path}" for path in paths]
            return run_python(["-c", _SAID_OF_WHAT_IS_MISSING, *arguments], environment).stdout

        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        shard = said("cut.pcr")
        assert f"{server.url}/cut.pcr/{file.name}: bytes " in shard
        assert "404" in shard
        assert f"{file.name}: record 0, scan groups 1 to 1" in shard
        no_folder = said("photo.pcr-s")
        assert f"{server.url}/photo.pcr-s: " in no_folder
        assert "a web server does not list it, so it needs a dataset.pcr-index" in no_folder
        assert f"{server.url}/b.pcr: " in said("b.pcr", "c.pcr")


# Cloud Storage


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[GcsServer]:
    """A server that holds the data set as gs://bucket/photos.pcr."""
    files = {f"photos.pcr/{file.name}": file for file in folder.iterdir()}
    with gcs_server(tmp_path_factory.mktemp("servers") / "gcs", files) as server:
        yield server


def run_in_namespace(gcs: GcsServer, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        gcs.command([sys.executable, *arguments]),
        env=gcs.environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )


def test_cloud_storage_is_asked_once_for_each_record_and_for_no_other_byte(
    gcs: GcsServer, folder: Path
) -> None:
    gcs.log.clear()
    groups = ",".join(map(str, SCAN_GROUPS))
    arguments = ["-m", "tests.read_dataset", "gs://bucket/photos.pcr", groups]
    seen = what_was_seen(run_in_namespace(gcs, arguments))
    assert seen["digests"] == digests(folder, SCAN_GROUPS)
    check_exchanges(gcs.log.exchanges(), folder, "/bucket/photos.pcr")


def test_where_tensorflow_was_imported_first_cloud_storage_gives_a_warning_that_says_what_to_do(
    gcs: GcsServer,
) -> None:
    script = (
        "import tensorflow as tf\n"
        "from pcr_tf.data import PcrDataset\n"
        "for _ in range(2):\n"
        "    print(sum(1 for _ in PcrDataset('gs://bucket/photos.pcr', 1)))\n"
    )
    done = run_in_namespace(gcs, ["-c", script])
    assert (done.returncode, done.stdout) == (0, 2 * f"{NUM_EXAMPLES}\n"), done.stderr
    assert done.stderr.count("Import pcr_tf.data before tensorflow") == 1


@pytest.mark.parametrize("part", ["data", "image", "keras", "scan_scripts"])
def test_whatever_part_imports_tensorflow_cloud_storage_is_set_up_before(part: str) -> None:
    script = (
        "import os, sys\n"
        "def before(event, arguments):\n"
        "    if event == 'import' and arguments[0] == 'tensorflow':\n"
        "        print(os.environ.get('GCS_READAHEAD_BUFFER_SIZE_BYTES'))\n"
        "        os._exit(0)\n"
        "sys.addaudithook(before)\n"
        f"import pcr_tf.{part}\n"
    )
    done = run_python(["-u", "-c", script], {"PATH": os.environ["PATH"]})
    assert done.stdout == "0\n", done.stderr


def test_settings_of_cloud_storage_that_the_user_made_are_kept() -> None:
    script = (
        "import os\n"
        "from pcr_tf.format.object_stores import configure_gcs\n"
        "configure_gcs()\n"
        "print(*sorted(f'{k}={v}' for k, v in os.environ.items() if k.startswith('GCS_')))\n"
    )
    environment = {"PATH": os.environ["PATH"], "GCS_READ_CACHE_BLOCK_SIZE_MB": "8"}
    done = run_python(["-c", script], environment)
    assert done.stdout == "GCS_READAHEAD_BUFFER_SIZE_BYTES=0 GCS_READ_CACHE_BLOCK_SIZE_MB=8\n"


def test_a_scheme_without_a_file_system_says_what_would_bring_one() -> None:
    from pcr_tf.data import Fidelity, PcrDataset

    path = "nosuch://bucket/photos.pcr"
    for use in (PcrDataset, PcrWriter, lambda path: Fidelity(1, path=path)):
        with pytest.raises(
            OSError, match=r"no file system for nosuch://; TensorFlow .* has .*gs://"
        ) as error:
            use(path)
        assert error.value.filename == path


@pytest.mark.parametrize("scheme", ["s3", "http", "hdfs"])
@pytest.mark.parametrize("version", ["2.16.2", "2.17.1", "2.18.0", "2.21.0"])
def test_a_scheme_of_tensorflow_io_comes_with_advice_that_works(scheme: str, version: str) -> None:
    advice = object_stores.remedy_by_tensorflow_io(scheme, version)
    loads = version in ("2.16.2", "2.17.1")
    assert ("pip install tensorflow-io==0.37.1" in advice) == loads
    assert ("mount" in advice) == ("gs://" in advice) == ("TensorFlow 2.17" in advice) != loads


def test_the_reason_of_a_store_is_kept_when_writing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise tf.errors.PermissionDeniedError(None, None, "the bucket's policy forbids it")

    monkeypatch.setattr(tf.io.gfile, "GFile", refuse)
    for write in (PcrWriter, lambda path: filesystem.write_atomic(path, b"")):
        with pytest.raises(PermissionError, match="the bucket's policy forbids it") as error:
            write("ram://folder/photos.pcr")
        assert error.value.filename == "ram://folder/photos.pcr"
