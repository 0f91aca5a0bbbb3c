#!/usr/bin/env python3
"""Signs somebody in through a real bridge from SAML: a SAML provider (pysaml2, in this process), SATOSA as the bridge, a
node, and `ocmt login --sso`, with this program as the browser. tests/scripts/saml.sh runs it, with what it needs.

It says what each try came to, and fails where that is not what docs/sign-in.md says.
"""

import html
import http.cookiejar
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import sys
import tempfile
import urllib.parse
import urllib.request

from parts import ANN, OWNER, PERSISTENT, SECRET, TRANSIENT, Bridge, Node, Processes, Provider, key_pair


class Back(Exception):
    """The browser is sent back to the node."""


def browser(ca_file):
    class Stops(urllib.request.HTTPRedirectHandler):
        """Goes along, but not to the node: its address is pasted."""

        def redirect_request(self, request, fp, code, msg, headers, newurl):
            if "/auth/oidc" in newurl:
                raise Back(newurl)
            return super().redirect_request(request, fp, code, msg, headers, newurl)

    context = ssl.create_default_context(cafile=ca_file)
    return urllib.request.build_opener(
        Stops, urllib.request.HTTPSHandler(context=context), urllib.request.ProxyHandler({}),
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))


def walk(ca_file, url):
    """From the provider's address through the form of the SAML provider: the address at which the browser comes back."""
    web = browser(ca_file)
    try:
        page = web.open(url, timeout=120).read().decode()
        fields = dict(re.findall(r'name="(SAMLResponse|RelayState)" value="([^"]*)"', page))
        action = re.search(r'action="([^"]+)"', page).group(1)
        fields = {name: html.unescape(value) for name, value in fields.items()}
        web.open(html.unescape(action), urllib.parse.urlencode(fields).encode(), timeout=120)
    except Back as back:
        return str(back)
    raise SystemExit("the bridge sent nobody back")


class World:
    """One node, one provider, a bridge at a time, and what was not as said."""

    def __init__(self, processes, folder, ocmt):
        key_pair(folder, "tls")
        self.processes, self.folder, self.ca_file = processes, folder, folder / "tls.pem"
        self.provider, self.bridge, self.wrong = Provider(folder), None, []
        self.provider.serve()
        self.node = node = Node(processes, ocmt, folder, self.ca_file)
        node.by_link("olga", OWNER, "--sign-up", "--email", OWNER, "--tenant-name", "Work")
        node.run("olga", "user", "invite", ANN, "--role", "member")
        node.by_link("ann", ANN, "--invited")
        self.tenant = json.loads(node.run("olga", "whoami", "--json"))["tenant"]
        (folder / "secret").touch(0o600)
        (folder / "secret").write_text(SECRET)

    def stand_a_bridge(self, verified):
        """One that says this of addresses, in front of the provider, and the tenant told of it."""
        if self.bridge:
            self.processes.end(self.bridge.process)
        self.bridge = Bridge(self.processes, self.folder, self.provider, f"{self.node.endpoint}/auth/oidc", verified)
        self.node.run("olga", "tenant", "sso", "set", "--issuer", self.bridge.base, "--client-id", "ocmt",
                      "--client-secret-file", str(self.folder / "secret"), "--by-verified-email")

    def sign_in(self):
        """Whom the node says it is, or why not."""
        client = self.node.client("browser", "login", "--sso", "--tenant", self.tenant, stdin=True)
        for line in client.stderr:
            if found := re.search(r"https://\S+", line):
                break
        else:
            return "not begun: " + line.strip()
        back = walk(self.ca_file, found.group(0))
        if "error=access_denied" in back:
            self.processes.end(client)
            return "refused by the bridge"
        _, err = client.communicate(back + "\n", timeout=120)
        if client.returncode != 0:
            return "refused: " + err.strip().splitlines()[-1]
        me = json.loads(self.node.run("browser", "whoami", "--json"))
        return f"signed in: {me['email']} {me['role']}"

    def case(self, what, verified, wanted, name_id="ann-7f3a", form=PERSISTENT, signs=True, pair=None):
        if self.bridge is None or self.bridge.verified != verified:
            self.stand_a_bridge(verified)
        self.provider.name_id, self.provider.format, self.provider.signs = name_id, form, signs
        self.provider.answers_to(self.bridge.metadata(browser(self.ca_file)), pair)
        came = self.sign_in()
        print(f"{what}: {came}", flush=True)
        if not came.startswith(wanted):
            self.wrong.append(what)

    def tries(self):
        nobody = "refused: error: sign in again: the sign-in is unknown"
        self.case("an address that the bridge says nothing of", None, nobody)
        self.case("an address that it has not verified", False, nobody)
        self.case("an address that it has verified", True, "signed in: ann@example.com member")
        self.case("once more", True, "signed in: ann@example.com member")
        self.case("without a signature", True, "refused by the bridge", signs=False)
        self.case("signed by a key that the bridge was not told of", True, "refused by the bridge", pair=self.provider.foreign)
        self.case("another NameID with her address", True, nobody, "somebody-else")
        self.case("a transient NameID", True, nobody, "t-81723", TRANSIENT)
        # what was refused was refused for whose it was: every word of the bridge held
        if "sign-in at a provider is not good" in (self.folder / "node.log").read_text():
            self.wrong.append("a word of the bridge")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    if not shutil.which("xmlsec1"):
        raise SystemExit("no xmlsec1 here: tests/scripts/install.sh test")
    folder, processes, whole = pathlib.Path(tempfile.mkdtemp(prefix="ocmt-saml.")), Processes(), False
    try:
        world = World(processes, folder, os.environ["OCMT"])
        world.tries()
        if world.wrong:
            raise SystemExit(f"not as said: {', '.join(world.wrong)}")
        whole = True
    finally:
        processes.end_all()
        if not whole:
            for log in ("node.log", "bridge.log"):
                if (folder / log).exists():
                    print(f"=== the end of {log}", *(folder / log).read_text().splitlines()[-15:], sep="\n", file=sys.stderr)
        shutil.rmtree(folder)


main()
