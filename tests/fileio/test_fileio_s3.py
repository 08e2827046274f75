"""S3 and Petrel: addresses, parts, listings, errors and signed URLs."""

from __future__ import annotations

import gc
import logging
import pickle
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

import engine_fileio as fileio
from engine_fileio import PetrelBackend, S3Backend, StorageError, StorageUnavailable
from engine_fileio.backends._s3_address import S3Object, locate

if TYPE_CHECKING:
    from tests.fileio.conftest import FaultyServer

SECRET = "wJalrXUtnFEMI-secret"


@pytest.fixture(scope="module")
def backend(s3_options: dict[str, str]) -> S3Backend:
    return S3Backend(**s3_options)  # type: ignore[arg-type]  # all options of the fixture are text


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("s3://b/k/x", S3Object(None, "b", "k/x")),
        ("main:s3://b/k", S3Object("main", "b", "k")),
        ("s3://b", S3Object(None, "b", "")),
        ("s3://b/", S3Object(None, "b", "")),
        ("s3://b//k/./x/", S3Object(None, "b", "k/x")),
        (Path("s3://b/k"), S3Object(None, "b", "k")),
        ("data/a.jpg", S3Object(None, "b", "coco/a.jpg")),
        ("data/val/a.jpg", S3Object("c", "v", "a.jpg")),
        ("data/x/../a.jpg", S3Object(None, "b", "coco/a.jpg")),
    ],
)
def test_addresses_are_parsed_after_mapping(path: str | Path, expected: S3Object) -> None:
    mapping = {"data/": "s3://b/coco/", "data/val/": "c:s3://v/"}

    assert locate(path, mapping, ("s3",)) == expected


@pytest.mark.parametrize(
    "path", ["data/../secret", "data/x/../../secret", "s3://b/../c/k", "s3://b/k/../../c"]
)
def test_key_outside_of_its_root_raises(path: str) -> None:
    with pytest.raises(PermissionError, match="must stay inside"):
        locate(path, {"data/": "s3://b/coco/"}, ("s3",))


@pytest.mark.parametrize("path", ["local/file", "gs://b/k", "s3://", "s3:///k"])
def test_malformed_address_raises(path: str) -> None:
    with pytest.raises(ValueError, match="s3://bucket/key"):
        locate(path, {}, ("s3",))


def test_mapped_paths_read_and_write(s3_options: dict[str, Any], bucket: str) -> None:
    arguments = {"backend": "s3", "path_mapping": {"data/": f"s3://{bucket}/d/"}, **s3_options}

    fileio.put(b"x", "data/a", backend_args=arguments)

    assert fileio.get(f"s3://{bucket}/d/a", backend_args=s3_options) == b"x"
    assert list(fileio.list_dir_or_file("data/", backend_args=arguments)) == ["a"]


def test_objects_over_the_part_size_are_transferred_in_parts(
    backend: S3Backend, bucket: str, tmp_path: Path, s3_client: Any
) -> None:
    data = bytes(range(256)) * (20 << 12)
    (tmp_path / "big").write_bytes(data)

    backend.put(data, f"s3://{bucket}/put")
    backend.copyfile_from_local(tmp_path / "big", f"s3://{bucket}/uploaded")
    backend.copyfile_to_local(f"s3://{bucket}/uploaded", tmp_path / "back")

    assert (tmp_path / "back").read_bytes() == data
    assert backend.get(f"s3://{bucket}/put") == data
    for key in ("put", "uploaded"):
        # the tag of an object made of n parts ends with -n
        assert s3_client.head_object(Bucket=bucket, Key=key)["ETag"].endswith('-3"')


@pytest.mark.parametrize("key", ["t/../../../escaped", "t/a//b", "t/./c"])
def test_listed_name_outside_of_the_folder_raises(
    http_server: FaultyServer, tmp_path: Path, key: str
) -> None:
    entries = "".join(f"<Contents><Key>{name}</Key></Contents>" for name in ("t/good", key))
    http_server.files["b"] = f"<ListBucketResult>{entries}</ListBucketResult>".encode()
    http_server.files["b/t/good"] = b"x"

    with pytest.raises(PermissionError, match="another place"):
        _faulty(http_server).copytree_to_local("s3://b/t", tmp_path / "a" / "b")

    assert list(tmp_path.iterdir()) == []


def test_copy_of_an_object_over_5_gb_uses_the_transfer_manager(
    http_server: FaultyServer,
) -> None:
    http_server.files["b/large"] = b"x"
    http_server.faults["b/copy"] = [400]
    http_server.bodies["b/copy"] = b"<Error><Code>InvalidRequest</Code></Error>"

    _faulty(http_server).copyfile("s3://b/large", "s3://b/copy")

    methods = [(method, path) for method, path, _ in http_server.requests if "list" not in path]
    assert methods == [("PUT", "/b/copy"), ("HEAD", "/b/large"), ("PUT", "/b/copy")]


def test_buckets_are_folders_if_they_exist(backend: S3Backend, bucket: str) -> None:
    assert backend.isdir(f"s3://{bucket}")
    assert not backend.isfile(f"s3://{bucket}")
    assert not backend.exists("s3://no-such-bucket-at-all")
    assert list(backend.list_dir_or_file(f"s3://{bucket}")) == []
    with pytest.raises(FileNotFoundError):
        backend.get("s3://no-such-bucket-at-all/k")
    with pytest.raises(FileNotFoundError):
        backend.put(b"", "s3://no-such-bucket-at-all/k")


def test_signed_urls_read_and_write_without_credentials(
    backend: S3Backend, bucket: str, s3_options: dict[str, str]
) -> None:
    uri = f"s3://{bucket}/signed file"

    writing = fileio.generate_presigned_url(uri, "put_object", 60, backend_args=s3_options)
    requests.put(writing, data=b"by URL", timeout=60).raise_for_status()
    reading = backend.generate_presigned_url(uri, expires_in=60)

    assert fileio.get(reading) == b"by URL"
    assert SECRET not in reading
    with pytest.raises(ValueError, match="get_object"):
        backend.generate_presigned_url(uri, "delete_bucket")


def _faulty(server: FaultyServer, **options: Any) -> S3Backend:
    return S3Backend(
        endpoint_url=f"http://{server.address}",
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key=SECRET,
        **options,
    )


def test_truncated_answer_is_retried(http_server: FaultyServer) -> None:
    http_server.files["b/k"] = b"x" * 1_000_000
    http_server.faults["b/k"] = ["cut", "cut"]

    assert _faulty(http_server).get("s3://b/k") == b"x" * 1_000_000


def test_answer_always_truncated_raises_storage_unavailable(http_server: FaultyServer) -> None:
    http_server.files["b/k"] = b"x" * 1_000_000
    http_server.faults["b/k"] = ["cut"] * 9

    with pytest.raises(StorageUnavailable, match="cut off or replaced 5 times"):
        _faulty(http_server).get("s3://b/k")


def test_large_answer_always_truncated_raises_storage_unavailable(
    http_server: FaultyServer,
) -> None:
    http_server.files["b/k"] = bytes(9 << 20)
    http_server.faults["b/k"] = ["cut"] * 99

    with pytest.raises(StorageUnavailable, match="cut off 5 times at the bytes from"):
        _faulty(http_server, retries=0).get("s3://b/k")


def test_large_object_replaced_during_the_download_is_downloaded_again(
    http_server: FaultyServer,
) -> None:
    http_server.files["b/k"] = bytes(range(256)) * (9 << 12)
    http_server.faults["b/k"] = ["whole", 412]  # parts request the version of the first answer

    assert _faulty(http_server).get("s3://b/k") == http_server.files["b/k"]
    asked = [headers for _, _, headers in http_server.requests if "Range" in headers]
    assert all("If-Match" in headers for headers in asked)


def test_store_without_ranges_raises(http_server: FaultyServer) -> None:
    http_server.files["b/k"] = bytes(9 << 20)
    http_server.faults["b/k"] = ["whole"] * 9

    with pytest.raises(StorageError, match="range"):
        _faulty(http_server).get("s3://b/k")


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, PermissionError), (404, FileNotFoundError), (503, StorageUnavailable)],
)
def test_upload_in_parts_that_fails_raises_the_same_errors(
    http_server: FaultyServer, tmp_path: Path, status: int, error: type[Exception]
) -> None:
    (tmp_path / "large").write_bytes(bytes(9 << 20))
    backend = _faulty(http_server, retries=0)
    http_server.faults["b/k"] = [status]

    with pytest.raises(error, match="CreateMultipartUpload"):
        backend._upload(tmp_path / "large", "s3://b/k")
    backend._clients.get(None).close()
    gc.collect()


def test_unreachable_store_raises_storage_unavailable(unused_port: int) -> None:
    backend = S3Backend(
        endpoint_url=f"http://user:{SECRET}@127.0.0.1:{unused_port}",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key=SECRET,
        retries=0,
    )

    with pytest.raises(StorageUnavailable, match="endpoint_url") as caught:
        backend.get("s3://b/k")

    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, StorageError), (403, PermissionError), (404, FileNotFoundError)],
)
def test_statuses_become_file_errors(
    http_server: FaultyServer, status: int, error: type[Exception]
) -> None:
    http_server.files["b/k"] = b"x"
    http_server.faults["b/k"] = [status]

    with pytest.raises(error, match="GetObject"):
        _faulty(http_server).get("s3://b/k")


def test_busy_store_is_retried(http_server: FaultyServer) -> None:
    http_server.files["b/k"] = b"x"
    http_server.faults["b/k"] = [503]

    assert _faulty(http_server).get("s3://b/k") == b"x"


def test_missing_credentials_raise_and_name_the_options(
    http_server: FaultyServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    backend = S3Backend(endpoint_url=f"http://{http_server.address}", region_name="us-east-1")

    with pytest.raises(PermissionError, match="anonymous=True"):
        backend.get("s3://b/k")


def test_anonymous_requests_are_not_signed(http_server: FaultyServer) -> None:
    http_server.files["b/k"] = b"x"
    backend = S3Backend(
        endpoint_url=f"http://{http_server.address}", region_name="us-east-1", anonymous=True
    )

    assert backend.get("s3://b/k") == b"x"
    assert "Authorization" not in http_server.requests[0][2]


@pytest.mark.parametrize("fault", [400, 403, 404])
def test_credentials_are_not_shown(
    http_server: FaultyServer, fault: int, caplog: pytest.LogCaptureFixture
) -> None:
    http_server.files["b/k"] = b"x"
    http_server.faults["b/k"] = [fault] * 9
    backend = _faulty(http_server, workers=3)

    with caplog.at_level(logging.DEBUG), pytest.raises(OSError, match="b/k") as caught:
        backend.get("s3://b/k")

    said = "".join(traceback.format_exception(caught.value))
    said += repr(backend) + repr(backend._connection) + caplog.text
    assert SECRET not in said
    assert "AKIDEXAMPLE" not in repr(backend) + repr(backend._connection) + str(caught.value)


def test_cluster_without_the_petrel_backend_raises(backend: S3Backend) -> None:
    with pytest.raises(ValueError, match="PetrelBackend"):
        backend.get("main:s3://b/k")


def _conf(path: Path, options: dict[str, str], *names: str) -> Path:
    lines = [f"[DEFAULT]\ndefault_cluster = {names[0]}\n"]
    for name in names:
        lines.append(
            f"[{name}]\naccess_key = {options['aws_access_key_id']}\nsecret_key = 100%{SECRET}\n"
            f"endpoint_url = {options['endpoint_url']}\nregion = us-east-1\n"
        )
    path.write_text("".join(lines))
    return path


def test_petrel_reads_clusters_and_copies_between_them(
    s3_options: dict[str, str], bucket: str, tmp_path: Path
) -> None:
    petrel = PetrelBackend(conf_path=_conf(tmp_path / "conf", s3_options, "one", "two"))

    petrel.put(b"x", f"petrel://{bucket}/k")
    petrel.copyfile(f"one:petrel://{bucket}/k", f"two:s3://{bucket}/copy")

    assert petrel.get(f"two:petrel://{bucket}/copy") == b"x"
    assert petrel.get(f"s3://{bucket}/copy") == b"x"
    with pytest.raises(ValueError, match="configured: \\['one', 'two'\\]"):
        petrel.get(f"three:petrel://{bucket}/copy")


def test_petrel_is_chosen_by_prefix_and_name(s3_options: dict[str, Any], bucket: str) -> None:
    arguments = {"enable_mc": False, **s3_options}

    fileio.put_text("x", f"petrel://{bucket}/k", backend_args=arguments)

    by_name = fileio.get_file_backend(backend_args={"backend": "petrel", **arguments})
    assert isinstance(by_name, S3Backend)
    assert by_name.get_text(f"s3://{bucket}/k") == "x"


def test_petrel_broken_configuration_raises_without_quoting_it(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text(f"secret_key = {SECRET}\n")

    with pytest.raises(ValueError, match="INI") as caught:
        PetrelBackend(conf_path=tmp_path / "conf")
    with pytest.raises(FileNotFoundError):
        PetrelBackend(conf_path=tmp_path / "absent")

    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_formats_and_lists_work_on_a_store(s3_options: dict[str, Any], bucket: str) -> None:
    fileio.dump({"a": [1, 2]}, f"s3://{bucket}/a.pkl", backend_args=s3_options)
    fileio.dump({"a": 1}, f"s3://{bucket}/a.yaml.gz", backend_args=s3_options)
    fileio.put_text("1 cat\n2 dog cow\n", f"s3://{bucket}/b.txt", backend_args=s3_options)

    assert fileio.load(f"s3://{bucket}/a.pkl", backend_args=s3_options) == {"a": [1, 2]}
    assert fileio.load(f"s3://{bucket}/a.yaml.gz", backend_args=s3_options) == {"a": 1}
    assert fileio.list_from_file(f"s3://{bucket}/b.txt", backend_args=s3_options) == [
        "1 cat",
        "2 dog cow",
    ]
    assert fileio.dict_from_file(f"s3://{bucket}/b.txt", int, backend_args=s3_options) == {
        1: "cat",
        2: ["dog", "cow"],
    }


def test_backend_is_pickled_without_its_connection(backend: S3Backend, bucket: str) -> None:
    backend.put(b"x", f"s3://{bucket}/k")

    copy = pickle.loads(pickle.dumps(backend))

    assert copy._clients is not backend._clients
    assert copy.get(f"s3://{bucket}/k") == b"x"
