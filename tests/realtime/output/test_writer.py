"""An output that blocks holds up nobody; what it loses is counted; the record has no hole."""

import os
import threading
import time

import pytest
import zmq

from realtime.output.lines import SessionLine, encode
from realtime.output.observer import Observer, OutputLost
from realtime.output.outputs import PublishOutput, StdoutOutput
from realtime.output.writer import OutputWriter
from tests.realtime.conftest import LINE
from tests.realtime.sessions import free_port


class Blocked(Observer):
    """Writes once it is let go."""

    name = "blocked"

    def __init__(self):
        self.go, self.begun, self.written, self.closed = threading.Event(), threading.Event(), [], False

    def on_line(self, line):
        self.begun.set()
        self.go.wait(30)
        assert not self.closed
        self.written.append(line)

    def close(self):
        self.closed = True


class BlockedLog(Blocked):
    name, whole = "the log", True


def said(detail):
    return SessionLine("capture", "m", "nothing", "s", detail)


def numbers(count):
    return [b"%d" % number for number in range(count)]


def fill(writer, count):
    for line in numbers(count):
        writer.put(line)


def test_lines_beyond_the_queue_are_lost_and_counted_and_the_rest_keeps_its_order():
    writer = OutputWriter(output := Blocked(), capacity=5)
    fill(writer, 8)
    assert writer.lost == 3
    assert not writer.given_up
    output.go.set()
    writer.drain(threading.Event())
    writer.put(b"later")
    writer.close(5.0)
    assert output.written == [*numbers(5), b"later"]
    assert (output.closed, writer.lost) == (True, 3)


def test_a_record_that_does_not_keep_up_stops_without_a_hole():
    writer = OutputWriter(output := BlockedLog(), capacity=5)
    fill(writer, 8)
    assert writer.given_up == "the log stopped after 5 lines: it does not keep up"
    output.go.set()
    writer.drain(threading.Event())
    writer.put(b"later")
    writer.close(5.0)
    assert output.written == numbers(5)
    assert writer.lost == 4


def test_an_output_in_use_is_not_closed_and_what_waits_is_counted():
    writer = OutputWriter(output := Blocked(), capacity=5)
    fill(writer, 5)
    output.begun.wait(5)
    writer.close(0.05)
    assert (output.closed, writer.lost) == (False, 5)
    output.go.set()
    while not output.closed:  # by its own thread
        time.sleep(0.01)
    assert output.written == numbers(1)


def test_who_sets_the_pace_waits_for_half_a_queue_or_for_the_stop():
    writer, stop = OutputWriter(output := Blocked(), capacity=4), threading.Event()
    fill(writer, 3)
    waiting = threading.Thread(target=writer.wait_for_space, args=(stop,))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    stop.set()
    waiting.join(5)
    assert not waiting.is_alive()
    output.go.set()
    writer.wait_for_space(threading.Event())
    assert writer.lost == 0
    writer.close(5.0)


def test_standard_output_waits_for_a_slow_reader_whatever_the_pipe_says():
    """A pipe that does not block raises; a reader that takes little gets everything all the same."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    lines, got = [said(f"{number}" + "x" * 5000) for number in range(100)], b""
    writer = OutputWriter(StdoutOutput(writing))
    for line in lines:
        writer.put(line)
    while got.count(b"\n") < 100:
        got += os.read(reading, 3000)
    writer.close(5.0)
    assert got.split(b"\n")[:-1] == [encode(line) for line in lines]
    os.close(reading)
    os.close(writing)


def test_standard_output_on_a_full_disk_is_lost_alone():
    descriptor = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(OutputLost, match="standard output stopped after 0 lines: No space left on device"):
        StdoutOutput(descriptor).on_line(LINE)
    os.close(descriptor)


def test_a_subscriber_that_does_not_read_is_noticed_and_the_other_gets_every_line(context):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    writer = OutputWriter(output := PublishOutput(endpoint))
    frozen, reader = context.socket(zmq.SUB), context.socket(zmq.SUB)
    frozen.rcvhwm = 1
    reader.rcvhwm = 0
    for socket in (frozen, reader):
        socket.subscribe(b"")
        socket.connect(endpoint)
    while not (reader.poll(20) and frozen.poll(20)):
        writer.put(LINE)
    line, sent = said("x" * 20_000), 0
    while not output.lost and sent < 20_000:
        for _ in range(50):
            writer.put(line)
        writer.drain(threading.Event())
        sent += 50
    for _ in range(50):
        writer.put(said("after"))
    got = [reader.recv_multipart()[1]]
    while got[-1] != encode(said("after")):
        got.append(reader.recv_multipart()[1])
    assert got.count(encode(line)) == sent
    assert output.lost == 1
    writer.close(5.0)


def test_a_line_a_writer_never_saw_leaves_its_output_closed_all_the_same():
    writer = OutputWriter(output := Blocked())
    writer.close(0.0)
    writer.close(0.0)
    assert output.closed


def test_an_observer_that_raises_is_given_up_alone():
    class Broken(Observer):
        name = "mine"

        def on_line(self, line):
            raise KeyError("what")

    writer = OutputWriter(Broken())
    writer.put(LINE)
    writer.put(LINE)
    writer.close(5.0)
    assert writer.given_up == "mine: KeyError: 'what'"
    assert writer.lost == 2
