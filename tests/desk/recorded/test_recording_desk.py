"""Pages over an annotation project, over real sockets, with a small network."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from desk_page import DeskPage, Refused
from PIL import Image
from recording_desks import FRAMES, HEIGHT, WIDTH, click, served, small_network
from small_clips import make_clip
from small_disk import mounted
from small_projects import make_project

from sam2_ros.annotation.annotated_mask import BY_HAND, DRAWN, PROMPTED, PROPAGATED
from sam2_ros.annotation.assistant import Assistant
from sam2_ros.annotation.film_strip import film_strip
from sam2_ros.annotation.project import SATISFACTORY, Project
from sam2_ros.annotation.project_recording import recording_of
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.desk.wire_mask import to_wire
from sam2_ros.model.sam2 import SAM2
from sam2_ros.tracking import rle
from sam2_ros.tracking.prompt import Click, Prompt

CLIP = make_clip("walk", FRAMES)


def pixels(mask: dict) -> np.ndarray:
    return rle.decode(np.array(mask["counts"]), mask["height"], mask["width"])


def square(left: int = 10) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10:20, left : left + 8] = True
    return mask


# ------------------------------------------------------------------------------------------------------- looking


def test_what_a_page_is_told_first(desk: str, project: Path) -> None:
    with DeskPage(desk) as page:
        hello = page.hello
        assert (hello["mode"], hello["name"], hello["project"]) == ("recorded", "images", str(project))
        assert (hello["frames"], hello["height"], hello["width"], hello["fps"]) == (FRAMES, HEIGHT, WIDTH, 24.0)
        assert hello["annotated_frames"] == [0, 4, 8] and hello["annotator"] == "ann" and hello["damaged"] == {}
        told = page.wait("project")
        assert told["last_action"] == 3 and [one["object_id"] for one in told["objects"]] == [1, 2, 3]
        third = told["objects"][2]
        assert (third["label"], third["state"], third["masks"], third["present"]) == ("thing 5", "open", FRAMES, 5)
        assert not told["can_undo"] and not told["can_redo"], "nobody has said who they are"
        page.request("annotator", name="ann")
        assert page.wait("project", lambda event: event["can_undo"])
        assert page.request("labels")["labels"] == ["thing 1", "thing 2", "thing 5"]


def test_masks_and_timeline(desk: str) -> None:
    with DeskPage(desk) as page:
        masks = page.request("masks", first=3, last=5)["masks"]
        assert sorted(masks) == ["3", "4", "5"]
        for frame, on_frame in masks.items():
            for row, mask in enumerate(on_frame):
                truth = CLIP.masks[int(frame)][row]
                assert (pixels(mask["mask"]) == truth).all() and mask["present"] == truth.any()
        assert masks["3"][0]["box"] == [9, 0, 14, 12] and masks["3"][2]["box"] == [0, 0, 0, 0]
        runs = page.request("timeline")["objects"]
        assert runs["1"] == [[0, 8, PROPAGATED, True, 1.0]]
        assert runs["3"] == [[0, 3, PROPAGATED, False, 1.0], [4, 8, PROPAGATED, True, 1.0]]
        assert list(page.request("timeline", object_ids=[2])["objects"]) == ["2"]
        assert page.request("unsure", object_id=None, after=None)["object_id"] == 1


def test_pictures_and_film_strips(desk: str, project: Path) -> None:
    with DeskPage(desk) as page:
        for frame in (0, 5, 2, 8):
            status, headers, body = page.get(f"/picture/{frame}?v={page.hello['fingerprint']}")
            assert status == 200 and headers["Content-Type"] == "image/jpeg" and "immutable" in headers["Cache-Control"]
            shown = np.asarray(Image.open(io.BytesIO(body)))
            assert np.abs(shown.astype(int) - CLIP.frames[frame]).mean() < 3
        assert page.get("/picture/0?v=other")[1]["Cache-Control"] == "no-store"
        status, _, reason = page.get(f"/picture/{FRAMES}")
        assert status == 404 and reason == b"there is no frame 9; there are 0 to 8"
        assert page.get("/picture/-1")[0] == page.get("/picture/x")[0] == page.get("/picture/" + "9" * 5000)[0] == 404
        status, headers, body = page.get("/strip/2?v=2")
        with Project(project) as opened:
            strip = film_strip(opened, recording_of(opened), 2)
        assert status == 200 and np.abs(np.asarray(Image.open(io.BytesIO(body))).astype(int) - strip).mean() < 3
        assert page.get("/strip/7?v=1")[0] == 404


def test_damaged_image(project: Path) -> None:
    """Its picture says why there is none; the others are there."""
    (project.parent / "images/00004.png").write_bytes(b"no image")
    with Project(project) as opened, pytest.raises(ValueError):
        recording_of(opened)  # its content is another one
    damaged = make_project(project.parent / "other", frames=FRAMES)
    with served(damaged) as url, DeskPage(url, "cleo") as page:
        (damaged.parent / "images/00004.png").write_bytes(b"no image")
        status, _, reason = page.get("/picture/4")
        assert status == 404 and reason == b"00004.png cannot be decoded as an image: it is of no known format"
        assert page.get("/picture/5")[0] == page.get("/picture/3")[0] == 200
        with pytest.raises(Refused, match=r"the image of frame 4 is damaged \(00004.png .*\); annotate another one"):
            page.request("begin", frame=4, prompt=click(20, 20))
        with DeskPage(url) as other:
            assert list(other.hello["damaged"]) == ["4"]


# ------------------------------------------------------------------------------------------------------- pointing


def test_pointing_is_what_the_assistant_does(desk: str, project: Path, tmp_path: Path) -> None:
    """A click, a correction, candidates and a mask by hand: the masks of an assistant on a project of its own."""
    twin = make_project(tmp_path / "twin", frames=FRAMES, verified=False)
    with Project(twin) as opened, DeskPage(desk, "ben") as page:
        assistant = Assistant(opened, recording_of(opened), small_network(), "ben")
        expected = assistant.begin(2, Prompt(clicks=[Click(20, 20)]), "cup", 1, 1.5)
        answer = page.request("begin", frame=2, prompt=click(20, 20), label="cup", phase=1, seconds=1.5)
        assert answer["object_id"] == expected.object_id == 4
        mask = answer["mask"]
        assert (pixels(mask["mask"]) == expected.mask).all()
        assert (mask["origin"], mask["phase"], mask["author"]) == (PROMPTED, 1, "ben")
        assert mask["prompt"] == {"clicks": [{"x": 20.0, "y": 20.0, "positive": True}], "box": None}

        expected = assistant.segment(4, 2, Prompt(clicks=[Click(50, 40, False)]))
        mask = page.request("segment", object_id=4, frame=2, phase=1, prompt=click(50, 40, False), seconds=1)["mask"]
        assert (pixels(mask["mask"]) == expected.mask).all() and len(mask["prompt"]["clicks"]) == 2

        expected = assistant.correct(4, 6, Prompt(box=(10, 10, 20, 20)))
        mask = page.request("correct", object_id=4, frame=6, prompt={"box": [10, 10, 20, 20]})["mask"]
        assert (pixels(mask["mask"]) == expected.mask).all() and mask["phase"] == 3

        candidates = page.request("candidates", frame=5, prompt=click(20, 20))["candidates"]
        found = assistant.candidates(5, Prompt(clicks=[Click(20, 20)]))
        assert [one["iou"] for one in candidates] == pytest.approx(found.iou.tolist())
        assert all((pixels(one["mask"]) == other).all() for one, other in zip(candidates, found.masks, strict=True))
        answer = page.request("begin", frame=5, prompt=click(20, 20), choice=1)
        assert (pixels(answer["mask"]["mask"]) == found.masks[1]).all()
        again = {**click(20, 20), "replace": True}
        mask = page.request("segment", object_id=5, frame=5, phase=1, prompt=again, choice=2)["mask"]
        assert (pixels(mask["mask"]) == found.masks[2]).all() and mask["prompt"]["clicks"] == click(20, 20)["clicks"]

        mask = page.request("draw", object_id=4, frame=3, phase=2, mask=to_wire(square()))["mask"]
        assert mask["origin"] == DRAWN and mask["phase"] == 2 and (pixels(mask["mask"]) == square()).all()
        page.request("remove_mask", object_id=4, frame=3)
        assert "4" not in {one["object_id"] for one in page.request("masks", first=3, last=3)["masks"]["3"]}
    with Project(project) as opened:
        assert next(opened.actions(3)).seconds == 1.5


def test_requests_wait_for_the_network(project: Path) -> None:
    """The page is there at once, and says what it waits for; what needs no network is done meanwhile."""
    go_on = threading.Event()

    def load() -> SAM2:
        go_on.wait(60)
        return small_network()

    with served(project, load) as url, DeskPage(url, "ben") as page:
        assert page.hello["model"] == {"name": "default", "state": "loading", "message": "the model is being loaded"}
        waiting = page.begin("begin", frame=2, prompt=click(20, 20))
        job = page.request("propagate", object_id=1, frame=0, phase=3)["job"]
        page.wait("job", lambda event: event["message"] == "waits for the model, which is being loaded")
        page.request("describe", object_id=1, label="cup")
        assert page.get("/picture/0")[0] == 200
        go_on.set()
        assert page.answer(waiting)["object_id"] == 4
        assert page.wait("model")["state"] == "ready"
        assert page.ended(job)["state"] == "failed"  # there is no mask by hand on this frame


def test_network_that_cannot_be_loaded(project: Path) -> None:
    go_on = threading.Event()

    def load() -> SAM2:
        go_on.wait(60)
        raise CheckpointError("there are no such weights; give others")

    with served(project, load) as url, DeskPage(url, "ben") as page:
        go_on.set()
        with pytest.raises(Refused, match="there are no such weights; give others"):
            page.request("begin", frame=2, prompt=click(20, 20))
        assert page.wait("model")["message"] == "there are no such weights; give others"
        page.request("judge", object_id=1, verdict=SATISFACTORY)
        assert page.wait("project", lambda event: event["objects"][0]["state"] == "verified")


# ------------------------------------------------------------------------------------------- two annotators, and more


def test_two_annotators_in_two_tabs(desk: str, project: Path) -> None:
    """Each sees what the other does; what somebody has not seen yet is not overwritten; each undoes their own."""
    with DeskPage(desk, "ben") as ben, DeskPage(desk, "cleo") as cleo:
        seen = cleo.wait("project")["last_action"]
        ben.request("draw", object_id=1, frame=4, phase=3, mask=to_wire(square(10)), seen=seen)
        assert cleo.wait("changed") == {"type": "changed", "object_id": 1, "frames": [4, 4]}
        with pytest.raises(Refused, match="was changed by ben in the meantime; look at it again"):
            cleo.request("draw", object_id=1, frame=4, phase=3, mask=to_wire(square(30)), seen=seen)
        newest = cleo.wait("project", lambda event: event["last_action"] > seen)["last_action"]
        cleo.request("draw", object_id=1, frame=4, phase=3, mask=to_wire(square(30)), seen=newest)
        cleo.request("describe", object_id=2, label="plate", attributes={"colour": "blue"}, seen=newest)
        with pytest.raises(Refused, match="that has to be undone first"):
            ben.request("undo")
        assert cleo.request("undo")["what"] == "describe of object 2"
        undone = cleo.request("undo")
        assert (undone["what"], undone["object_id"], undone["frame"]) == ("mask of object 1 on frame 4", 1, 4)
        (mask,) = [one for one in ben.request("masks", first=4, last=4)["masks"]["4"] if one["object_id"] == 1]
        assert (pixels(mask["mask"]) == square(10)).all()
        assert cleo.wait("project", lambda event: event["can_redo"])
        assert cleo.request("redo")["what"] == "mask of object 1 on frame 4"
        assert cleo.request("redo")["what"] == "describe of object 2"
        with pytest.raises(Refused, match="there is nothing to do again"):
            cleo.request("redo")
    with Project(project) as opened:
        mask = opened.mask(1, 4)
        assert mask is not None and mask.author == "cleo" and (mask.mask == square(30)).all()
        assert opened.object(2).attributes == {"colour": "blue"}


def test_verification(desk: str) -> None:
    with DeskPage(desk, "ann") as ann, DeskPage(desk, "ben") as ben:
        assert ann.request("queue")["waiting"] == [], "her own work"
        waiting = ben.request("queue")["waiting"]
        assert [one["object_id"] for one in waiting] == [1, 2, 3] and waiting[0]["action_id"] == 1
        with pytest.raises(Refused, match="own work"):
            ann.request("judge", object_id=1, verdict="satisfactory", own=True)
        ben.request("judge", object_id=1, verdict="satisfactory", seconds=2, seen=3)
        ben.request("judge", object_id=2, verdict="unsatisfactory", reason="drifts", seen=3)
        ann.request("judge", object_id=3, verdict="no object", own=True)
        assert ben.request("queue")["waiting"] == []
        told = ben.wait("project", lambda event: event["objects"][2]["state"] == "rejected")
        assert [one["state"] for one in told["objects"]] == ["verified", "open", "rejected"]
        assert told["objects"][1]["reason"] == "drifts"


def test_changes_of_other_processes_are_noticed(desk: str, project: Path) -> None:
    with DeskPage(desk) as page:
        page.wait("project")
        with Project(project) as opened:  # as the command line has it
            opened.describe("dora", 2, "lamp")
            opened.remove_mask("dora", 3, 8)
        told = page.wait("project", lambda event: event["last_action"] == 5)
        assert told["objects"][1]["label"] == "lamp" and "dora" in told["annotators"]
        assert page.wait("changed") == {"type": "changed", "object_id": 3, "frames": [8, 8]}


def test_many_interleaved_actions(desk: str, project: Path) -> None:
    """Two annotators at once, and a third one in another process's way: everything that was answered is there."""
    answered: dict[str, int] = {}

    def annotate(name: str) -> None:
        rng = np.random.default_rng(len(name))
        done = 0
        with DeskPage(desk, name) as page:
            for _ in range(60):
                object_id, frame = int(rng.integers(1, 4)), int(rng.integers(FRAMES))
                seen = max(event["last_action"] for event in page.events if event["type"] == "project")
                try:
                    page.request("draw", object_id=object_id, frame=frame, mask=to_wire(square(frame)), seen=seen)
                    done += 1
                except Refused as refused:
                    assert "in the meantime; look at it again" in str(refused)
        answered[name] = done

    threads = [threading.Thread(target=annotate, args=[name]) for name in ("ben", "cleopatra")]
    for thread in threads:
        thread.start()
    with Project(project) as opened:
        for number in range(20):
            opened.describe("dora", 2, f"lamp {number}")
    for thread in threads:
        thread.join()
    with Project(project) as opened:
        stored = [action.annotator for action in opened.actions(3)]
    assert {name: stored.count(name) for name in answered} == answered and min(answered.values()) > 10
    assert stored.count("dora") == 20


def test_closed_page_loses_nothing(desk: str, project: Path) -> None:
    """What it asked for is done, also if nobody waits for the answer."""
    with DeskPage(desk) as other:
        with DeskPage(desk, "ben") as page:
            page.begin("draw", object_id=1, frame=4, mask=to_wire(square()))
            page.begin("begin", frame=2, prompt=click(20, 20), label="cup")
        assert other.wait("project", lambda event: event["last_action"] == 5)
    with Project(project) as opened:
        assert opened.object(4).label == "cup"


def test_a_desk_that_ends_leaves_no_thread(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    project = make_project(tmp_path, frames=150, annotated=[0], verified=False)
    before = set(threading.enumerate())
    with served(project) as url, DeskPage(url, "ben") as page:
        object_id = page.request("begin", frame=75, prompt=click(20, 20))["object_id"]
        page.get("/picture/100")
        job = page.request("propagate", object_id=object_id, frame=75, phase=3)["job"]
        page.wait("job", lambda event: event["job"] == job and event["done"] > 1)
    assert not {thread.name for thread in set(threading.enumerate()) - before}
    assert "ends 'Propagate object 4' first" in caplog.text
    with Project(project) as opened:
        assert len(list(opened.masks_of(object_id))) == 1, "it was cancelled"


# ------------------------------------------------------------------------------------------------------------ jobs


def test_propagation_that_is_cancelled_and_one_that_is_not(tmp_path: Path) -> None:
    """A job belongs to the project: it goes on when the page that began it is closed, and others may cancel it."""
    project = make_project(tmp_path, frames=150, annotated=[0], verified=False)
    with served(project) as url, DeskPage(url, "ben") as page:
        with DeskPage(url, "cleo") as closed:
            object_id = closed.request("begin", frame=75, prompt=click(20, 20), label="cup")["object_id"]
            job = closed.request("propagate", object_id=object_id, frame=75, phase=3, seconds=2)["job"]
            closed.wait("job", lambda event: event["done"] > 3)
        running = page.wait("job", lambda event: event["done"] > 5)
        assert running["title"] == "Propagate cup" and running["total"] == 149 and running["state"] == "running"
        with DeskPage(url) as late:
            assert late.wait("job")["job"] == job, "a page that comes later knows of it"
        other = page.request("propagate", object_id=object_id, frame=75, phase=3)["job"]
        page.wait("job", lambda event: event["job"] == other and event["message"] == "waits for the one before it")
        page.request("cancel", job=other)
        page.request("cancel", job=job)
        assert page.ended(job)["state"] == page.ended(other)["state"] == "cancelled"
        with pytest.raises(Refused, match="ended already"):
            page.request("cancel", job=job)
        told = page.request("masks", first=70, last=80)["masks"]
        assert [one["object_id"] for one in told["75"]] == [object_id] and list(told) == ["75"]
        job = page.request("propagate", object_id=object_id, frame=75, phase=3)["job"]
        assert page.ended(job)["message"] == "149 masks from frame 75 on"
    with Project(project) as opened:
        origins = [mask.origin for mask in opened.masks_of(object_id)]
        assert origins == [PROPAGATED] * 75 + [PROMPTED] + [PROPAGATED] * 74
        assert [action.kind for action in opened.actions()][-1] == "propagate"


def test_pointing_during_a_propagation(tmp_path: Path) -> None:
    """It waits for a frame, not for the end; the answers are those of a desk on which nothing else goes on."""
    project = make_project(tmp_path, frames=150, annotated=[0], verified=False)
    with served(project) as url, DeskPage(url, "ben") as page:
        alone = page.request("candidates", frame=9, prompt=click(30, 30))["candidates"]
        object_id = page.request("begin", frame=75, prompt=click(20, 20))["object_id"]
        job = page.request("propagate", object_id=object_id, frame=75, phase=3)["job"]
        page.wait("job", lambda event: event["done"] > 3)
        for _ in range(5):
            assert page.request("candidates", frame=9, prompt=click(30, 30))["candidates"] == alone
        assert not any(event["type"] == "job" and event["state"] != "running" for event in page.events)
        page.request("cancel", job=job)
        assert page.ended(job)["state"] == "cancelled"


def test_somebody_points_during_a_propagation(tmp_path: Path) -> None:
    project = make_project(tmp_path, frames=60, annotated=[0], verified=False)
    with served(project) as url, DeskPage(url, "ben") as ben, DeskPage(url, "cleo") as cleo:
        object_id = ben.request("begin", frame=30, prompt=click(20, 20))["object_id"]
        job = ben.request("propagate", object_id=object_id, frame=30, phase=3)["job"]
        ben.wait("job", lambda event: event["done"] > 1)
        cleo.request("draw", object_id=object_id, frame=31, mask=to_wire(square()))
        ended = ben.ended(job)
        assert ended["state"] == "failed" and "was changed by cleo in the meantime" in ended["message"]
    with Project(project) as opened:
        assert {mask.origin for mask in opened.masks_of(object_id)} <= set(BY_HAND)


@pytest.mark.slow
def test_export_is_the_command_that_is_shown(desk: str, project: Path) -> None:
    with DeskPage(desk, "ben") as page:
        answer = page.request("export", formats=["sav"])
        assert answer["command"] == f"sam2_ros annotate export {project} --out {project / 'export'} --format sav"
        with pytest.raises(Refused, match="one is running already"):
            page.request("export", formats=["sav"])
        ended = page.ended(answer["job"])
        assert ended["state"] == "failed" and "3 of 3 masklets are not verified" in ended["message"]
        for object_id in (1, 2, 3):
            page.request("judge", object_id=object_id, verdict="satisfactory")
        answer = page.request("export", formats=["sav", "davis"])
        ended = page.ended(answer["job"])
        assert ended["state"] == "done" and ended["done"] == ended["total"] > 0
        assert f"{project / 'export/davis'}  DAVIS" in ended["message"] and "━" not in ended["message"]
        assert sorted(path.name for path in (project / "export").iterdir() if path.is_dir()) == ["davis", "sav"]


@pytest.mark.slow
def test_search_for_everything_is_cancelled_and_goes_on(tmp_path: Path) -> None:
    """The command goes on where it was; what it finds is proposed, and waits for verdicts."""
    project = make_project(tmp_path, frames=40, annotated=[0], verified=False)
    with served(project) as url, DeskPage(url, "ben") as page:
        first = page.request("propose")
        assert first["command"] == f"sam2_ros annotate new {tmp_path / 'images'} {project} --propose --size 64"
        page.wait("job", lambda event: event["job"] == first["job"] and 0 < event["done"] < event["total"])
        page.request("cancel", job=first["job"])
        ended = page.ended(first["job"])
        assert ended["state"] == "cancelled" and "the same command goes on where it was" in ended["message"]
        ended = page.ended(page.request("propose")["job"])
        assert ended["state"] == "done" and "proposals: " in ended["message"]
        told = page.wait("project", lambda event: any(one["state"] == "proposed" for one in event["objects"]))
        assert page.request("queue")["waiting"][0]["state"] == "proposed"
        assert told["annotators"] == ["ann", "automatic"]


# ------------------------------------------------------------------------------------------------------ bad requests


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"type": "fly"}, "knows no request 'fly'"),
        ({"type": "masks", "first": 0, "last": FRAMES}, "last must be a whole number from 0 to 8"),
        ({"type": "masks", "first": 5, "last": 3}, "last must be a whole number from 5 to 8"),
        ({"type": "begin", "frame": 99, "prompt": click(1, 1)}, "frame must be a whole number from 0 to 8"),
        ({"type": "begin", "frame": 1, "prompt": click(1, 999)}, "outside the image of 64 x 48 pixels"),
        ({"type": "begin", "frame": 1, "prompt": {}}, "the prompt is empty"),
        ({"type": "begin", "frame": 1, "prompt": click(1, 1), "label": "x" * 300}, "label has 300 letters"),
        ({"type": "begin", "frame": 1, "prompt": click(1, 1), "seconds": -1}, "seconds must be a number from 0"),
        ({"type": "begin", "frame": 1, "prompt": click(1, 1), "choice": 5}, "there is no candidate 5"),
        ({"type": "segment", "object_id": 77, "frame": 1, "prompt": click(1, 1)}, "there is no object 77"),
        ({"type": "segment", "object_id": 0, "frame": 1, "prompt": click(1, 1)}, "object_id must be"),
        ({"type": "correct", "object_id": 1, "frame": 1}, "a prompt is an object"),
        ({"type": "draw", "object_id": 1, "frame": 1, "mask": to_wire(np.zeros((3, 3), bool))}, "64 x 48"),
        ({"type": "remove_mask", "object_id": 1, "frame": "x"}, "frame must be"),
        ({"type": "describe", "object_id": 1, "label": "two\nlines"}, "line break"),
        ({"type": "describe", "object_id": 1, "attributes": {"a": 1}}, "a must be a text"),
        ({"type": "judge", "object_id": 1, "verdict": "great"}, "verdict must be one of"),
        ({"type": "propagate", "object_id": 9, "frame": 1, "phase": 3}, "there is no object 9"),
        ({"type": "propagate", "object_id": 1, "frame": 1, "phase": 1}, "phase must be"),
        ({"type": "undo"}, "there is nothing to undo"),
        ({"type": "cancel", "job": 7}, "ended already"),
        ({"type": "export", "formats": ["tiff"]}, "choose formats"),
        ({"type": "export", "formats": []}, "choose formats"),
        ({"type": "fine_tune", "minutes": "x"}, "minutes must be a number"),
        ({"type": "unsure", "object_id": None, "after": 99}, "after must be"),
        ({"type": "timeline", "object_ids": [1.5]}, "an object's ID must be"),
        ({"type": "annotator", "name": " "}, "say who you are"),
        ({"type": "annotator", "name": "a\nb"}, "say who you are"),
    ],
)  # fmt: skip
def test_refused_requests(many_refused: DeskPage, request_: dict, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        many_refused.request(**request_)
    assert reason in str(refused.value)


@pytest.fixture(scope="module")
def many_refused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeskPage]:
    project = make_project(tmp_path_factory.mktemp("refused"), frames=FRAMES, verified=False)
    with served(project) as url, DeskPage(url, "zoe") as page:
        yield page
    with Project(project) as opened:
        assert opened.last_action == 3, "nothing has changed"


def test_changes_need_a_name(desk: str) -> None:
    with DeskPage(desk) as page:
        for type, fields in (("undo", {}), ("begin", {"frame": 1, "prompt": click(9, 9)}), ("propose", {})):
            with pytest.raises(Refused, match="say who you are first"):
                page.request(type, **fields)


def test_label_is_text(desk: str) -> None:
    """What looks like HTML comes back as it was given."""
    label = '<img src=x onerror="alert(1)">'
    with DeskPage(desk, "ben") as page:
        page.request("describe", object_id=1, label=label)
        assert page.wait("project", lambda event: event["last_action"] == 4)["objects"][0]["label"] == label


def test_full_disk(tmp_path: Path) -> None:
    """An action that does not fit is refused, and says so; what was there stays, and there is room again after that."""
    rng = np.random.default_rng(0)
    with mounted(tmp_path / "disk", "size=768k") as disk:
        project = make_project(disk, frames=FRAMES, verified=False)
        with served(project) as url, DeskPage(url, "ben") as page:
            page.request("describe", object_id=1, label="before")
            (disk / "filler").write_bytes(b"x" * 4096)
            with open(disk / "filler", "ab", buffering=0) as filler, pytest.raises(OSError):
                while True:
                    filler.write(b"x" * 4096)
            with pytest.raises(Refused, match="the disk is full; make room, nothing that was answered is lost"):
                for frame in range(FRAMES):
                    page.request("draw", object_id=1, frame=frame, mask=to_wire(rng.random((HEIGHT, WIDTH)) < 0.5))
            os.remove(disk / "filler")
            page.request("draw", object_id=1, frame=0, mask=to_wire(square()))
        with Project(project) as opened:
            assert opened.object(1).label == "before" and len(list(opened.masks_of(1))) == FRAMES


def test_project_that_is_moved_away(desk: str, project: Path) -> None:
    """Nothing is written into a file that nobody finds."""
    with DeskPage(desk, "ben") as page:
        page.request("describe", object_id=1, label="cup")
        project.rename(project.parent / "moved")
        with pytest.raises(Refused, match="was moved or deleted; put it back"):
            page.request("describe", object_id=1, label="plate")
        with pytest.raises(Refused, match="was moved or deleted"):
            page.request("masks", first=0, last=1)
        (project.parent / "moved").rename(project)
        job = page.request("propagate", object_id=1, frame=0, phase=3)["job"]
        assert "no mask by hand" in page.ended(job)["message"]
        project.rename(project.parent / "moved")
        with pytest.raises(Refused, match="was moved or deleted"):
            page.request("propagate", object_id=1, frame=0, phase=3)
        (project.parent / "moved").rename(project)
        page.request("describe", object_id=2, label="plate")
    with Project(project) as opened:
        assert [one.label for one in opened.objects()] == ["cup", "plate", "thing 5"]


def test_messages_are_plain_json(desk: str) -> None:
    with DeskPage(desk, "ben") as page:
        page.request("begin", frame=2, prompt=click(20, 20))
        page.wait("project", lambda event: len(event["objects"]) == 4)
        assert "NaN" not in json.dumps(page.events)
