"""What live views send, and what not again and again."""

from __future__ import annotations

from .conftest import PASSWORD, MakeVisitor, MakeWeb, SessionOf, Someone


async def test_what_does_not_change_is_not_sent_again(
    make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone, session_of: SessionOf
) -> None:
    role = someone()
    session = session_of(role)
    text = "much text " * 50_000
    row = session.execute(
        "SELECT pid, cookie FROM pg_background_launch(%s, 0, 'long')", [f"SELECT 1 -- {text}"]
    ).fetchone()
    session.execute("SELECT pg_background_wait(%s, %s)", row)
    assert row is not None
    visitor = make_visitor(make_web())
    await visitor.sign_in(role, PASSWORD)
    job = f"jobs/{row[0]}:{row[1]}"
    assert text in await visitor.text(f"/s/server/{job}")
    names: list[str] = []
    async with visitor.stream(f"/s/server/live/{job}") as stream:
        await stream.start()
        async for name, data in stream.events():
            assert text not in str(data)
            names.append(name)
            # The job has ended: only time goes by.
            if names[-3:] == ["now"] * 3:
                break
    assert names[0] == "view"
