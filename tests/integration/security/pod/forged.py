"""Stand between a release and its database with a self-signed certificate, and ask for the password in clear text.

Runs one of the chart's scripts, given as arguments, against itself; prints what it was told, then the script's output.
"""

from __future__ import annotations

import datetime
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

FOLDER = Path(sys.argv[1])
CLEAR_TEXT = b"R" + struct.pack("!II", 8, 3)


def certificate() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "not-your-database")])
    now = datetime.datetime.now(datetime.UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    (FOLDER / "forged.crt").write_bytes(built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (FOLDER / "forged.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))


def serve(listener: socket.socket, heard: list[str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / "forged.crt", FOLDER / "forged.key")
    while True:
        client, _ = listener.accept()
        try:
            client.recv(8)  # asks for TLS
            client.sendall(b"S")
            with context.wrap_socket(client, server_side=True) as talk:
                talk.recv(4096)  # the startup packet
                talk.sendall(CLEAR_TEXT)
                heard.append(talk.recv(4096).decode("latin-1"))
        except OSError:
            client.close()


def main() -> None:
    certificate()
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[str] = []
    threading.Thread(target=serve, args=(listener, heard), daemon=True).start()
    port = str(listener.getsockname()[1])
    environment = {name: value.replace("PORT", port) for name, value in os.environ.items()}
    done = subprocess.run(sys.argv[2:], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    print(json.dumps({"heard": "".join(heard), "told": done.stdout.decode(), "code": done.returncode}))


if __name__ == "__main__":
    main()
