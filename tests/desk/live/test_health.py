"""What nodes say about themselves on /diagnostics."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from sam2_ros.desk.live.health import healths


def status(name: str, level: bytes = DiagnosticStatus.OK, message: str = "", **values: str) -> DiagnosticStatus:
    pairs = [KeyValue(key=key.replace("_", " "), value=value) for key, value in values.items()]
    return DiagnosticStatus(name=name, level=level, message=message, values=pairs)


def test_states_by_camera() -> None:
    values = {"objects": "3", "image_topic": "/front/image"}
    good = status("/sam2/front: tracking", message="20.0 images / s", **values)
    good.values += [KeyValue(key="rate (1/s)", value="19.97"), KeyValue(key="latency p50 (ms)", value="31.4")]
    bad = status("/sam2/rear: tracking", DiagnosticStatus.WARN, "no images yet", objects="many")
    found = healths(DiagnosticArray(status=[good, bad, status("/motors: temperature")]))
    assert {*found} == {"/sam2/front", "/sam2/rear"}
    front, rear = found["/sam2/front"], found["/sam2/rear"]
    assert (front.topic, front.problem, front.rate, front.latency_ms, front.objects) == (
        "/front/image",
        "",
        19.97,
        31.4,
        3,
    )
    assert (rear.topic, rear.problem, rear.rate, rear.objects) == ("", "no images yet", 0.0, 0)
