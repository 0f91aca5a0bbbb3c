"""What tests/saml/signs_in.py puts together: a SAML provider (pysaml2), SATOSA as the bridge, a node of `demo` and its clients."""

import datetime
import http.server
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, saml
from saml2.config import IdPConfig
from saml2.metadata import create_metadata_string
from saml2.server import Server

PERSISTENT, TRANSIENT = saml.NAMEID_FORMAT_PERSISTENT, saml.NAMEID_FORMAT_TRANSIENT
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
OWNER, ANN = "olga@example.com", "ann@example.com"
# no letters that RFC 6749 (2.3.1) has written otherwise: pyop reads them as they come
SECRET = "3d0c8b51f2a94e67"


class Processes:
    """What was started here, and has to be gone at the end whatever happens."""

    def __init__(self):
        self.running = []

    def start(self, command, **how):
        process = subprocess.Popen(command, **how)
        self.running.append(process)
        return process

    def end(self, process):
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.running.remove(process)

    def end_all(self):
        for process in reversed(self.running[:]):
            self.end(process)


def free_port():
    """Below those that the kernel gives to whoever asks for any: until somebody listens there it is nobody's."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def wait_for(what, look, seconds=120):
    """Whatever `look` finds; who does not come in time fails the run."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.1)
    raise SystemExit(f"{what} did not come within {seconds} s")


def listens(port):
    def look():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return look


def key_pair(folder, name):
    """A key and a certificate for localhost, signed by itself."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    called, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), datetime.datetime.now(datetime.UTC)
    cert = (
        x509.CertificateBuilder().subject_name(called).issuer_name(called).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256()))
    key_file, cert_file = folder / f"{name}.key", folder / f"{name}.pem"
    key_file.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()))
    cert_file.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    return key_file, cert_file


class Provider:
    """A SAML provider at which everybody is Ann: with a signed assertion, if nothing else is said."""

    def __init__(self, folder):
        self.port, self.name_id, self.folder = free_port(), "ann-7f3a", folder
        self.format, self.signs = PERSISTENT, True
        self.key, self.cert = key_pair(folder, "saml")
        self.foreign = key_pair(folder, "foreign")
        self.base = f"http://localhost:{self.port}"
        self.server = None

    def config(self, metadata, pair=None):
        key, cert = pair or (self.key, self.cert)
        config = {
            "entityid": f"{self.base}/metadata",
            "key_file": str(key),
            "cert_file": str(cert),
            "xmlsec_binary": shutil.which("xmlsec1"),
            "service": {"idp": {
                "endpoints": {"single_sign_on_service": [(f"{self.base}/sso", BINDING_HTTP_REDIRECT)]},
                "name_id_format": [PERSISTENT, TRANSIENT],
                "policy": {"default": {"lifetime": {"minutes": 5}, "attribute_restrictions": None,
                                       "name_form": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"}},
            }},
            "metadata": {"inline": metadata} if metadata else {},
        }
        return IdPConfig().load(config)

    def describe(self):
        return create_metadata_string(None, config=self.config(None)).decode()

    def answers_to(self, bridge_metadata, pair=None):
        """Which bridge it knows, and with which key it signs: its own, or one that nobody was told of."""
        self.server = Server(config=self.config([bridge_metadata], pair))

    def serve(self):
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                body = provider.answer(dict(urllib.parse.parse_qsl(urllib.parse.urlparse(self.path).query)))
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.end_headers()
                self.wfile.write(body.encode())

        web = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=web.serve_forever, daemon=True).start()

    def answer(self, asked):
        request = self.server.parse_authn_request(asked["SAMLRequest"], BINDING_HTTP_REDIRECT).message
        args = self.server.response_args(request, [BINDING_HTTP_POST])
        args["name_id"] = saml.NameID(format=self.format, text=self.name_id)
        response = self.server.create_authn_response(
            {"mail": [ANN], "displayName": ["Ann Other"]}, userid="ann", sign_response=self.signs,
            sign_assertion=self.signs, authn={"class_ref": PASSWORD, "authn_auth": self.base}, **args)
        form = self.server.apply_binding(
            BINDING_HTTP_POST, str(response), args["destination"], asked.get("RelayState", ""), response=True)
        return form["data"] if isinstance(form["data"], str) else "".join(form["data"])


class Bridge:
    """SATOSA: a SAML service provider on one side, an OpenID provider on the other."""

    def __init__(self, processes, folder, provider, callback, verified):
        self.port, self.folder, self.verified = free_port(), folder, verified
        self.base = f"https://localhost:{self.port}"
        (folder / "idp.xml").write_text(provider.describe())
        key_pair(folder, "token")
        key_pair(folder, "bridge")
        if not (folder / "tls.pem").exists():
            key_pair(folder, "tls")
        attributes = {"mail": {"openid": ["email"], "saml": ["mail"]},
                      "verified": {"openid": ["email_verified"], "saml": ["emailVerified"]}}
        client = {"client_id": "ocmt", "client_secret": SECRET, "response_types": ["code"], "redirect_uris": [callback],
                  "token_endpoint_auth_method": "client_secret_basic", "subject_type": "public"}
        says = ["email", "email_verified"] if verified is not None else ["email"]
        frontend = {
            "module": "satosa.frontends.openid_connect.OpenIDConnectFrontend", "name": "OIDC",
            "config": {
                "signing_key_path": str(folder / "token.key"), "signing_key_id": "1",
                "sub_hash_salt": "kept", "client_db_path": str(folder / "clients.json"),
                "provider": {"client_registration_supported": False, "response_types_supported": ["code"],
                             "subject_types_supported": ["public"], "scopes_supported": ["openid", "email"],
                             "id_token_lifetime": 300, "extra_id_token_claims": {"ocmt": says}},
            },
        }
        backend = {
            "module": "satosa.backends.saml2.SAMLBackend", "name": "Saml2",
            "config": {"entityid_endpoint": True, "sp_config": {
                "key_file": str(folder / "bridge.key"), "cert_file": str(folder / "bridge.pem"),
                "xmlsec_binary": shutil.which("xmlsec1"),
                "metadata": {"local": [str(folder / "idp.xml")]},
                "entityid": "<base_url>/<name>/proxy_saml2_backend.xml", "accepted_time_diff": 60,
                "service": {"sp": {
                    "authn_requests_signed": True, "want_response_signed": True, "want_assertions_signed": True,
                    "allow_unsolicited": False, "name_id_format": [PERSISTENT, TRANSIENT],
                    "endpoints": {"assertion_consumer_service": [["<base_url>/<name>/acs/post", BINDING_HTTP_POST]],
                                  "discovery_response": []},
                }},
            }},
        }
        services = []
        if verified is not None:
            services.append({
                "module": "satosa.micro_services.attribute_modifications.AddStaticAttributes", "name": "Verified",
                "config": {"static_attributes": {"verified": [verified]}}})
        config = {"BASE": self.base, "COOKIE_STATE_NAME": "SATOSA", "CONTEXT_STATE_DELETE": True,
                  "STATE_ENCRYPTION_KEY": "a key of this run alone",
                  "INTERNAL_ATTRIBUTES": {"attributes": attributes},
                  "BACKEND_MODULES": [backend], "FRONTEND_MODULES": [frontend], "MICRO_SERVICES": services,
                  "LOGGING": {"version": 1}}
        (folder / "clients.json").write_text(json.dumps({"ocmt": client}))
        (folder / "proxy_conf.yaml").write_text(yaml.safe_dump(config))
        self.log = open(folder / "bridge.log", "ab")
        self.process = processes.start(
            [sys.executable, "-m", "gunicorn", "satosa.wsgi:app", "-b", f"127.0.0.1:{self.port}", "--threads", "4",
             "--certfile", str(folder / "tls.pem"), "--keyfile", str(folder / "tls.key")],
            env={**os.environ, "HOME": str(folder), "SATOSA_CONFIG": str(folder / "proxy_conf.yaml")},
            cwd=folder, stdout=self.log, stderr=self.log)
        wait_for("the bridge", listens(self.port))

    def metadata(self, browser):
        return browser.open(f"{self.base}/Saml2/proxy_saml2_backend.xml", timeout=120).read().decode()


class Node:
    """A node of its own in `demo`, and clients of it."""

    def __init__(self, processes, ocmt, folder, ca_file):
        self.processes, self.ocmt, self.folder = processes, ocmt, folder
        port = free_port()
        self.endpoint = f"https://localhost:{port}"
        config = folder / "ocmt.toml"
        config.write_text(f"""
[node]
mode = "demo"
data_dir = "{folder}/data"
[listen]
client = "127.0.0.1:{port}"
telemetry = "127.0.0.1:{free_port()}"
public_url = "{self.endpoint}"
[containers]
runtime = "process"
cell = "/bin/true"
[mail]
spool = "{folder}/mail"
[sso]
ca_file = "{ca_file}"
""")
        self.log = open(folder / "node.log", "wb")
        processes.start([ocmt, "node", "--config", config], stdout=self.log, stderr=self.log)
        wait_for("the node", (folder / "data/endpoint.json").exists)
        self.seen = set()

    def client(self, who, *words, stdin=None):
        command = [self.ocmt, *words, "--state-dir", str(self.folder / who),
                   "--endpoint", self.endpoint, "--ca", str(self.folder / "data/pki/ca.pem")]
        return self.processes.start(command, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, who, *words):
        client = self.client(who, *words)
        out, err = client.communicate(timeout=120)
        if client.returncode != 0:
            raise SystemExit(f"ocmt {' '.join(words)}: {err}")
        return out

    def link(self, to):
        def look():
            for mail in sorted((self.folder / "mail").glob("*.eml")):
                text = mail.read_text().replace("=\n", "").replace("=3D", "=")
                link = re.search(r"https://\S+", text)
                if mail not in self.seen and to in text and link:
                    self.seen.add(mail)
                    return link.group(0)
            return None

        return wait_for(f"a link for {to}", look)

    def by_link(self, who, to, *words):
        client = self.client(who, "login", *words, stdin=True)
        out, err = client.communicate(self.link(to) + "\n", timeout=120)
        if client.returncode != 0:
            raise SystemExit(f"{who}: {err}")
        return out
