"""A stand-in for the Hugging Face Hub: the HTTP endpoints that huggingface_hub uses for models, on loopback."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_secret"


class Hub(ThreadingHTTPServer):
    """Repositories as dictionaries of files, and each commit of a repository as a copy of them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.files: dict[str, dict[str, bytes]] = {}
        self.commits: dict[str, dict[str, dict[str, bytes]]] = {}
        self.private: dict[str, bool] = {}
        self.stored: dict[str, bytes] = {}  # large files, by SHA-256
        self.requests: list[str] = []

    def commit(self, name: str, changes: dict[str, bytes]) -> str:
        """Add files; the commit's id."""
        self.files[name].update(changes)
        state = {path: hashlib.sha256(content).hexdigest() for path, content in self.files[name].items()}
        sha = hashlib.sha1(json.dumps([state, len(self.commits.get(name, {}))]).encode()).hexdigest()
        self.commits.setdefault(name, {})[sha] = dict(self.files[name])
        return sha

    def find(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Id and files of a commit; None if there is none."""
        commits = self.commits.get(name, {})
        sha = next(reversed(commits), revision) if revision == "main" else revision
        return (sha, commits[sha]) if sha in commits else None


@contextmanager
def serve() -> Iterator[Hub]:
    """A running stand-in."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


def _entry(path: str, content: bytes) -> dict[str, Any]:
    """A file as the list of a commit's files has it."""
    large = {"lfs": {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}}
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return {"type": "file", "path": path, "size": len(content), "oid": blob, **(large if _is_large(path) else {})}


def _is_large(path: str) -> bool:
    return path.endswith(".safetensors")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""

    def _route(self) -> None:
        hub = self.server
        size = int(self.headers.get("Content-Length") or 0)
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self.rfile.read(size)
        path = self.path.partition("?")[0]
        hub.requests.append(f"{self.command} {path}")
        words = path.strip("/").split("/")
        writes = self.command in ("POST", "PUT") and words[0] != "large"
        if writes and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._json({"error": "Invalid username or password."}, 401)
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            front = json.loads(body)["content"].partition("---\n")[2].partition("\n---")[0]
            return self._json({"errors": [] if "library_name" in front else [{"message": "no front matter"}]})
        if words[0] == "large":
            if hashlib.sha256(body).hexdigest() != words[1]:
                return self._json({"error": "wrong digest"}, 400)
            hub.stored[words[1]] = body
            return self._json({})
        if path.endswith(".git/info/lfs/objects/batch"):
            return self._batch(json.loads(body))
        if words[:2] == ["api", "models"]:
            action, revision = [*words[4:6], "revision", "main"][:2]
            return self._model("/".join(words[2:4]), action, revision, body)
        if words[2:3] == ["resolve"]:
            return self._file("/".join(words[:2]), words[3], "/".join(words[4:]))
        return self._json({"error": "no such page"}, 404)

    do_GET = do_POST = do_PUT = do_HEAD = _route  # noqa: N815 (names of http.server)

    def _chunk(self) -> bytes:
        content = self.rfile.read(int(self.rfile.readline(), 16))
        self.rfile.readline()
        return content

    def _create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        if name in self.server.files:
            return self._json({"error": "You already created this model repo", "url": self._page(name)}, 409)
        self.server.files[name] = {}
        self.server.private[name] = wanted.get("visibility") == "private" or bool(wanted.get("private"))
        self.server.commit(name, {".gitattributes": b"*.safetensors filter=lfs\n"})
        return self._json({"url": self._page(name), "name": name})

    def _page(self, name: str) -> str:
        return f"{self.server.address}/{name}"

    def _batch(self, wanted: dict[str, Any]) -> None:
        objects = []
        for one in wanted["objects"]:
            upload = {"upload": {"href": f"{self.server.address}/large/{one['oid']}", "header": {}}}
            objects.append(
                {**one, "authenticated": True, **({} if one["oid"] in self.server.stored else {"actions": upload})}
            )
        self._json({"transfer": "basic", "objects": objects}, kind="application/vnd.git-lfs+json")

    def _model(self, name: str, action: str, revision: str, body: bytes) -> None:
        hub = self.server
        found = hub.find(name, revision)
        if found is None:
            return self._missing(name)
        if action == "preupload":
            files = [
                {"path": one["path"], "shouldIgnore": False, "oid": None,
                 "uploadMode": "lfs" if _is_large(one["path"]) else "regular"}
                for one in json.loads(body)["files"]
            ]  # fmt: skip
            return self._json({"files": files})
        if action == "commit":
            lines = [json.loads(line) for line in body.splitlines() if line.strip()]
            changes = {}
            for line in lines:
                value = line["value"]
                if line["key"] == "file":
                    changes[value["path"]] = base64.b64decode(value["content"])
                if line["key"] == "lfsFile":
                    changes[value["path"]] = hub.stored[value["oid"]]
            sha = hub.commit(name, changes)
            return self._json({"commitUrl": f"{self._page(name)}/commit/{sha}", "commitOid": sha, "success": True})
        sha, files = found
        if action == "tree":
            return self._json([_entry(path, content) for path, content in sorted(files.items())])
        siblings = [{"rfilename": path} for path in sorted(files)]
        return self._json({"_id": "1", "id": name, "modelId": name, "sha": sha, "private": hub.private[name],
                           "tags": [], "downloads": 0, "likes": 0, "siblings": siblings})  # fmt: skip

    def _file(self, name: str, revision: str, path: str) -> None:
        found = self.server.find(name, revision)
        if found is None or path not in found[1]:
            return self._missing(name)
        sha, files = found
        content = files[path]
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        headers = {"X-Repo-Commit": sha, "ETag": etag, "Accept-Ranges": "bytes"}
        return self._send(content, 200, "application/octet-stream", headers)

    def _missing(self, name: str) -> None:
        code = "RevisionNotFound" if name in self.server.files else "RepoNotFound"
        self._json({"error": "not found"}, 404, headers={"X-Error-Code": code})

    def _json(
        self, value: Any, status: int = 200, kind: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        self._send(json.dumps(value).encode(), status, kind, headers or {})

    def _send(self, content: bytes, status: int, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
