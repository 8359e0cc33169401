"""Tests of sam2_ros/desk/page/recorded/masks.js in a browser: what is fetched, what is fetched again, and when."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.slow

MASKS = """async (of) => {
    const { Masks } = await import("/page/recorded/masks.js");
    const server = { version: 1, held: null, refuse: 0, asked: [] };
    const masks = new Masks(async (first, last) => {
        const asOf = server.version;
        server.asked.push(`${first} ${last}`);
        await server.held;
        if (server.refuse-- > 0) throw new Error("too many requests");
        return { masks: { [first]: [{ object_id: 1, version: server.version }] }, asOf };
    }, 100);
    const version = (frame) => masks.of(1, frame)?.version ?? null;
"""

STRETCHES = (
    MASKS
    + """
    const before = [masks.at(30), masks.ready(30)];
    await Promise.all([masks.load(30), masks.load(31), masks.load(24)]);
    const together = server.asked.join();
    masks.ahead(30, 1, 20);
    await masks.load(48);
    return { before, together, there: [version(24), version(30), masks.at(30).length], asked: server.asked.join() };
}"""
)

CHANGES = (
    MASKS
    + """
    let changed = 0;
    masks.on("change", () => (changed += 1));
    await masks.load(0);
    server.version = 2;
    masks.put(0, { object_id: 1, version: "own" });
    const own = [version(0), masks.asOf(0)];
    let release;
    server.held = new Promise((resolve) => (release = resolve));
    masks.forget([0, 3]);
    const coming = masks.load(0);
    const meanwhile = version(0);
    masks.forget(null); // once more, while they are on their way
    release();
    await coming;
    server.version = 3;
    await masks.load(0);
    return { own, meanwhile, after: [version(0), masks.asOf(0)], asked: server.asked.length, changed };
}"""
)

REFUSED = (
    MASKS
    + """
    server.refuse = 1;
    const said = await masks.load(0).catch((error) => error.message);
    await masks.load(0); // at once: the server is not asked again
    const asked = server.asked.length;
    await new Promise((resolve) => masks.on("change", resolve)); // whoever shows them is told to
    await masks.load(0);
    return { said, asked, then: server.asked.length, version: version(0) };
}"""
)


def test_masks_are_fetched_in_stretches_and_once(modules: Page) -> None:
    told = modules.evaluate(STRETCHES)
    assert told["before"] == [None, False] and told["together"] == "24 35"
    assert told["there"] == [1, None, 0], "a frame without masks is known"
    assert told["asked"] == "24 35,36 47,48 59"


def test_changed_masks_stay_until_the_newest_are_there(modules: Page) -> None:
    told = modules.evaluate(CHANGES)
    assert told["own"] == ["own", 1], "an answer is shown at once; what others did is not seen by it"
    assert told["meanwhile"] == "own" and told["after"] == [3, 3] and told["asked"] == 3
    assert told["changed"] >= 5


def test_a_refusal_is_not_answered_by_a_flood(modules: Page) -> None:
    told = modules.evaluate(REFUSED)
    assert told == {"said": "too many requests", "asked": 1, "then": 2, "version": 1}
