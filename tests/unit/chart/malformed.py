"""URIs as people write them by mistake, each with a password whose parts must never be seen."""

from __future__ import annotations

CANARY = "Zq7xWv9kJb3n"
"""Nothing that a program prints by itself holds four characters of it."""


def leaked(text: str) -> list[str]:
    """Return the parts of the password, of four characters and more, that a text holds."""
    return [CANARY[at : at + 4] for at in range(len(CANARY) - 3) if CANARY[at : at + 4].lower() in text.lower()]


HALVES = (CANARY[:6], CANARY[6:])
INSIDE = ("@", "/", "?", "@@", "%", "%g", "%zz", "\n", "\r\n", "\t", "%0A", "%00", "%FF", "/@", "?@", "@?a=", "?host=")
MALFORMED = (
    *(f"postgresql+psycopg2://u:{character.join(HALVES)}@h:5432/d" for character in INSIDE),
    *(f"postgresql+psycopg2://u:{CANARY}{character}@h/d" for character in ("%", "@", "/", "?", "\n")),
    *(f"postgresql+psycopg2://u:{character}{CANARY}@h/d" for character in ("%", "@", "/", "?", "\n")),
    f"postgresql+psycopg2://b4@server:{CANARY}@h/d",
    f"postgresql+psycopg2://u:{CANARY}@h:{CANARY}/d",
    f"postgresql+psycopg2://u:{HALVES[0]}@{HALVES[1]}@h:port/d",
    f"postgresql+psycopg2://u:{CANARY}@h:99999/d",
    f"postgresql+psycopg2://u:{CANARY}@h:0/d",
    f"postgresql+psycopg2://u:{CANARY}@h h/d",
    f"postgresql+psycopg2://u:{CANARY}@[h/d",
    f"postgresql+psycopg2://u:{CANARY}@h]/d",
    f"postgresql+psycopg2://u:{CANARY}@h#/d",
    f"postgresql+psycopg2://u:{CANARY}@h/d#x",
    f"postgresql+psycopg2://u:{CANARY}@h/d/e",
    f"postgresql+psycopg2://u:{CANARY}@h/d\nx",
    f"postgresql+psycopg2://u:{CANARY}@h/d e",
    f"postgresql+psycopg2://u:{CANARY}@h/",
    f"postgresql+psycopg2://u:{CANARY}@h",
    f"postgresql+psycopg2://u:{CANARY}@/d",
    f"postgresql+psycopg2://u:{CANARY}@:5432/d",
    f"postgresql+psycopg2://u:{CANARY}",
    f"postgresql+psycopg2://:{CANARY}@h/d",
    f"postgresql+psycopg2://[{CANARY}@h/d",
    f"postgresql+psycopg2://u:{CANARY}@h/d?{CANARY}",
    f"postgresql+psycopg2://u:{CANARY}@h/d?{CANARY}=1",
    f"postgresql+psycopg2://u:{CANARY}@h/d?sslmode=a%",
    f"postgresql+psycopg2://u:{CANARY}@h/d?password={CANARY}",
    f"postgresql+psycopg2://u:{CANARY}@h/d?user={CANARY}",
    f"postgresql+psycopg2:/u:{CANARY}@h/d",
    f"postgresql+psycopg2:u:{CANARY}@h/d",
    f"postgresql+psycopg2//u:{CANARY}@h/d",
    f"postgersql+psycopg2://u:{CANARY}@h/d",
    f"postgresql+{CANARY}!://u:p@h/d",
    f"= postgresql+psycopg2://u:{CANARY}@h/d",
    f'"postgresql+psycopg2://u:{CANARY}@h/d"',
    f"{CANARY}://u@h/d",
    f"u:{CANARY}@h/d",
    f"host=h password={CANARY}",
    f"host=h dbname=d password='{CANARY}",
    f"host=h dbname=d user=u {CANARY}",
    f"host=h dbname=d {CANARY}=x",
    f"host=h dbname=d password={CANARY}\\",
    f"host=h dbname=d port={CANARY}",
    f"jdbc:postgresql://h/d?user=u&password={CANARY}&password=x",
    f"jdbc:mysql://u:{CANARY}@h/d",
    f"psql 'host=h {CANARY}'",
    f"postgresql://u:{{{CANARY}}}@h/d",
    f"postgresql://u:{CANARY}@h1:1,h2:{CANARY}/d",
    f"postgresql://u:{CANARY}@h1:1,{CANARY}@h2/d",
    f"postgresql://u:{CANARY}@h1,/d",
    f"postgresql://u:{CANARY}@h1,h2/d?port=1,2,3",
    f"postgresql+pg8000://u:{CANARY}@/d?unix_sock=/cloudsql/{CANARY}/.s.PGSQL.5432",
    f"Server=h;Database=d;User Id=u;Password={CANARY};Ssl Mode=Require;",
    CANARY,
    "",
)
