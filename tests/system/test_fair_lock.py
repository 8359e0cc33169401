import threading

from sam2_ros.system.fair_lock import FairLock


def test_a_fast_thread_does_not_overtake_a_waiting_one() -> None:
    lock, order = FairLock(), []
    held, ready = threading.Event(), threading.Event()

    def fast() -> None:
        with lock:
            held.set()
            ready.wait(10)
        for _ in range(3):
            with lock:
                order.append("fast")

    def slow() -> None:
        with lock:
            order.append("slow")

    first = threading.Thread(target=fast)
    first.start()
    assert held.wait(10)
    second = threading.Thread(target=slow)
    second.start()
    while not lock._waiting:
        pass
    ready.set()
    first.join(10)
    second.join(10)
    assert order == ["slow", "fast", "fast", "fast"]


def test_reentrant() -> None:
    lock = FairLock()
    with lock, lock:
        pass
    thread = threading.Thread(target=lock.__enter__)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_one_thread_at_a_time() -> None:
    lock, inside, most = FairLock(), [], []

    def work() -> None:
        for _ in range(200):
            with lock:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(most) == 800 and max(most) == 1


def test_released_after_an_error() -> None:
    lock = FairLock()
    try:
        with lock:
            raise ValueError
    except ValueError:
        pass
    assert lock._owner is None
