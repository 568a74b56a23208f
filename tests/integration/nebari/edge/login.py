"""Plays Nebari's login in a pod: traefik-forward-auth, and the page of Keycloak that it sends people to.

Traefik asks it before every request: 200 for a cookie that it signed, else a redirect to the page. What the page
sends on comes back at /_oauth, where the cookie is given. Everybody who says a name is let in; nothing else is easier
than with the real ones.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import secrets
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

PORT = 4181
KEY = secrets.token_bytes(32)
COOKIE = "_forward_auth"
PAGE = """<!doctype html><title>Log in to Nebari</title>
<form><h1>Log in to Nebari</h1><input type="hidden" name="state" value="{state}">
<label>Username <input name="username"></label> <button>Sign In</button></form>"""


def sign(name: str) -> str:
    return f"{name}|{hmac.new(KEY, name.encode(), hashlib.sha256).hexdigest()}"


def signed(text: str) -> str:
    """Return the name in a signed text; empty when it is not ours."""
    name = text.rpartition("|")[0]
    return name if name and hmac.compare_digest(text.encode(), sign(name).encode()) else ""


class Login(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/auth/"):
            self.page()
        else:
            self.ask()

    def page(self) -> None:
        """Keycloak's part; people see it, so it is not behind the login."""
        query = dict(parse_qs(urlsplit(self.path).query))
        state = query.get("state", ["/"])[0]
        if "username" in query:
            code = urlencode({"code": sign(query["username"][0]), "state": state})
            return self.answer(302, Location=f"/_oauth?{code}")
        return self.answer(200, PAGE.format(state=html.escape(state)))

    def ask(self) -> None:
        """traefik-forward-auth's part; the request that Traefik asks about is in its headers."""
        address = f"{self.headers['X-Forwarded-Proto']}://{self.headers['X-Forwarded-Host']}"
        wanted = urlsplit(self.headers["X-Forwarded-Uri"])
        cookie = SimpleCookie(self.headers["Cookie"]).get(COOKIE)
        name = signed(cookie.value) if cookie else ""
        if wanted.path == "/_oauth":
            query = {key: values[0] for key, values in parse_qs(wanted.query).items()}
            if not signed(query.get("code", "")):
                return self.answer(401, "Not authorized")
            given = f"{COOKIE}={query['code']}; Path=/; Secure; HttpOnly"
            return self.answer(307, Location=query["state"], **{"Set-Cookie": given})
        if name:
            return self.answer(200, **{"X-Forwarded-User": name})
        state = urlencode({"state": f"{address}{self.headers['X-Forwarded-Uri']}"})
        return self.answer(307, Location=f"{address}/auth/login?{state}")

    def answer(self, status: int, body: str = "", **headers: str) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())


if __name__ == "__main__":
    ThreadingHTTPServer(("", PORT), Login).serve_forever()
