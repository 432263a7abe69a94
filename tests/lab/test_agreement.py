"""Agreement: figures worked out by hand, words mapped, disagreements written back.

The golden case, 60 s. M: the machine (first), H: the human (second).

    H1 nodding      1-3      M1 nodding      1.5-3   overlap 1.5, union 2: 0.75; of the longer 0.75: linked
    H2 nodding     10-12     M2 shaking head 10-12   linked, another name, the same part
    H3 nose        20-24     M3 nose         21-24   0.75: linked
    H4 face        30-34     M4 nose         30-34   linked, another name, the same part
    H5 waving      40-42     M6 waving       40-40.5 0.25: matched at 0.1 alone, not linked
                             M5 nodding      50-51   false
"""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from engines.common.errors import BadInput
from lab.__main__ import main
from lab.agreement import agreement, alpha, linked, pairs
from lab.annotations import Annotation, Annotations, read_annotations
from lab.disagreement import write_disagreements
from lab.export_command import export
from lab.kappa import chance_diagonal, cohen, doubled, modified
from lab.session_record import read_session
from lab.words import Event, first_map, read_map, translate
from tests.lab.sessions import action, ended, opening, recording, summary, write_session

FACE, NOSE = "scratching or touching face", "touching nose"
HUMAN = [("nodding", 1, 3), ("nodding", 10, 12), (NOSE, 20, 24), (FACE, 30, 34), ("waving", 40, 42)]
MACHINE = [
    ("nodding", 1.5, 3),
    ("shaking head", 10, 12),
    (NOSE, 21, 24),
    (NOSE, 30, 34),
    ("waving", 40, 40.5),
    ("nodding", 50, 51),
]


def events(rows) -> list[Event]:
    return [Event(frozenset([name] if isinstance(name, str) else name), onset, offset) for name, onset, offset in rows]


@pytest.fixture(scope="module")
def golden() -> dict:
    pytest.importorskip("krippendorff")
    return agreement(events(MACHINE), events(HUMAN), 60.0)


def test_matched_missed_false_and_f1(golden):
    actions, parts, whole = golden["actions"], golden["parts"], golden["all"]
    # at 0.5: M1-H1 and M3-H3; missed H2 H4 H5; false M2 M4 M5 M6: 2·2 / (2·2 + 3 + 4). At 0.1 also M6-H5: 6 / 11
    assert (actions["matched"], actions["missed"], actions["false"]) == (2, 3, 4)
    assert (actions["f1_0.5"], actions["f1_0.3"], actions["f1_0.1"]) == (0.3636, 0.3636, 0.5455)
    # parts: M1-H1 M2-H2 (head), M3-H3 M4-H4 (head-hand): 2·4 / (2·4 + 1 + 2)
    assert (parts["matched"], parts["missed"], parts["false"], parts["f1_0.5"]) == (4, 1, 2, 0.7273)
    assert (whole["f1_0.5"], whole["f1_0.1"]) == (0.7273, 0.9091)  # 8/11; with M6-H5 10/11
    assert [actions["names"]["nodding"][key] for key in ("matched", "missed", "false")] == [1, 1, 1]


def test_modified_kappa(golden):
    """Rows M, columns H, linked pairs twice; U unmatched:

              nod shake wave face nose  U | sum
        nod     2     0    0    0    0  1 |  3
        shake   2     0    0    0    0  0 |  2
        wave    0     0    0    0    0  1 |  1
        face    0     0    0    0    0  0 |  0
        nose    0     0    0    2    2  0 |  4
        U       0     0    1    0    0  0 |  1
        sum     4     0    1    2    2  2 | 11

    raw 4/11. Fitted diagonal: 8 linked / (10 of M · 9 of H) · (3·4 + 0 + 1·1 + 0 + 4·2) = 8·21/90, of 11: 28/165.
    kappa (60 - 28) / (165 - 28) = 32/137; at most 3 + 0 + 1 + 0 + 2 = 6 of 11 agree: (90 - 28) / 137 = 62/137.
    Linked alone, of 8: raw 4/8, chance (2·4 + 4·2) / 64 = 1/4, kappa 1/3; at most min(2,4) + min(4,2) = 4: 1/3.
    nodding against the rest [[2, 1], [2, 6]]: raw 8/11, chance (3·4 + 8·7)/121, kappa 20/53, at most 42/53.
    """
    actions = golden["actions"]
    assert actions["raw_agreement"] == round(4 / 11, 4)
    assert actions["kappa"] == round(32 / 137, 4)
    assert actions["kappa_max"] == round(62 / 137, 4)
    assert (actions["kappa_linked"], actions["kappa_linked_max"]) == (0.3333, 0.3333)
    nodding = actions["names"]["nodding"]
    assert (nodding["kappa"], nodding["kappa_max"], nodding["raw_agreement"]) == (0.3774, 0.7925, 0.7273)
    # parts: rows 5 1 4 | 1, columns 4 1 4 | 2, linked 8: raw 8/11, chance 8·(20 + 1 + 16) / (11·90) = 296/990
    assert golden["parts"]["kappa"] == round((720 - 296) / (990 - 296), 4)
    assert "kappa" not in golden["all"]  # one name: nothing to confuse


def test_slices(golden):
    """nodding, 600 slices of 0.1 s: both 15, M alone 10, H alone 25, neither 550.

    kappa: agreement 565/600, chance (25·40 + 575·560)/600² = 323/360, (339 - 323) / (360 - 323) = 16/37.
    alpha: 1200 values, 65 of them nodding, 35 slices differ: 1 - 1199·35 / (65·1135).
    """
    nodding = golden["actions"]["names"]["nodding"]
    assert nodding["slice_kappa"] == round(16 / 37, 4)
    assert nodding["alpha"] == round(1 - 1199 * 35 / (65 * 1135), 4)


def test_times_rates_and_durations(golden):
    # M1-H1 and M3-H3: onsets 0.5 and 1.0 s late, offsets equal
    assert golden["errors"] == {
        "pairs": 2,
        "onset_s": {"median": 0.75, "mean_absolute": 0.75},
        "offset_s": {"median": 0.0, "mean_absolute": 0.0},
    }
    # by name (nodding, shaking head, waving, face, nose): M 2 1 1 0 2, H 2 0 1 1 1 a minute
    assert golden["actions"]["correlation"]["names"] == 5
    assert golden["actions"]["correlation"]["rate"] == round(
        float(np.corrcoef([2, 1, 1, 0, 2], [2, 0, 1, 1, 1])[0, 1]), 4
    )
    duration = np.corrcoef([2.5, 2, 0.5, 0, 7], [4, 0, 2, 4, 4])[0, 1]
    assert golden["actions"]["correlation"]["duration"] == round(float(duration), 4)


def test_intervals_hold_the_value_and_come_again(golden):
    for level in ("actions", "parts", "all"):
        for name, bounds in golden[level]["intervals"].items():
            assert bounds[0] <= golden[level][name] <= bounds[1], (level, name)
    assert agreement(events(MACHINE), events(HUMAN), 60.0) == golden
    assert agreement(events(MACHINE), events(HUMAN), 4.0)["actions"]["intervals"]["f1_0.5"] is None  # one block


def test_the_fitted_table_is_that_of_iterative_proportional_fitting():
    rng = np.random.default_rng(0)
    counted = rng.integers(0, 5, (6, 6)).astype(float)
    counted[-1, -1] = 0.0
    table = doubled(counted)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    found = np.ones((6, 6))
    found[-1, -1] = 0.0
    for _ in range(2000):
        found *= (rows / found.sum(axis=1))[:, None]
        found *= columns / found.sum(axis=0)
    assert chance_diagonal(table) == pytest.approx(np.diag(found)[:-1], rel=1e-9)


def test_perfect_opposite_and_empty():
    table = np.diag([4.0, 3.0, 0.0])
    assert (modified(table).kappa, modified(table).highest) == (1.0, 1.0)
    assert cohen(np.array([[0.0, 5.0], [5.0, 0.0]])).kappa == -1.0
    assert np.isnan(cohen(np.zeros((2, 2))).kappa)
    assert np.isnan(modified(np.zeros((3, 3))).kappa)
    assert np.isnan(cohen(np.array([[5.0, 0.0], [0.0, 0.0]])).kappa)  # chance explains it all


def test_alpha_is_the_formula_of_two_coders():
    pytest.importorskip("krippendorff")
    slices = np.array([[50.0, 7.0], [3.0, 11.0]])
    values, ones = 2 * slices.sum(), 2 * slices[1, 1] + slices[0, 1] + slices[1, 0]
    expected = 1 - (values - 1) * (slices[0, 1] + slices[1, 0]) / (ones * (values - ones))
    assert alpha(slices) == pytest.approx(expected)
    assert np.isnan(alpha(np.array([[9.0, 0.0], [0.0, 0.0]])))


def test_several_meanings_agree_with_each_of_them():
    machine = events([(NOSE, 0, 2), ("nodding", 5, 7)])
    human = events([((FACE, NOSE), 0, 2), ((FACE, "covering mouth"), 5, 7)])
    found = agreement(machine, human, 10.0)
    assert (found["actions"]["matched"], found["actions"]["missed"], found["actions"]["false"]) == (1, 1, 1)
    assert found["actions"]["names"][NOSE]["slice_kappa"] == 1.0


def test_a_body_part_alone_agrees_as_a_part():
    found = agreement(events([("head-hand", 0, 2)]), events([(NOSE, 0, 2)]), 10.0)
    assert (found["actions"]["matched"], found["parts"]["matched"]) == (0, 1)


def test_as_many_pairs_as_possible_each_event_once():
    first = events([("nodding", 0, 4), ("nodding", 2, 6)])
    second = events([("nodding", 1, 5), ("nodding", 3, 9)])
    both = [pair for pair in pairs(first, second, "actions", 0.1) if pair.first and pair.second]
    assert len(both) == 2
    assert len({id(pair.second) for pair in both}) == 2


def test_linking_prefers_the_same_name_and_stays_within_a_part():
    machine = events([("nodding", 0, 10), ("shaking head", 0, 10), ("waving", 20, 30)])
    human = events([("shaking head", 1, 10), ("nodding", 20, 30)])
    units = [(one.name, one.other) for one in linked(machine, human, "actions") if one.first and one.second]
    assert units == [("shaking head", "shaking head")]
    assert len([one for one in linked(machine, human, "parts") if one.first and one.second]) == 2


@pytest.fixture
def sessions(tmp_path):
    """The machine's record, and the human's annotation as every format."""
    pytest.importorskip("pympi")

    def record(name, rows):
        lines = [line for at, row in enumerate(rows, 1) for line in action(at, *row)]
        return read_session(write_session(tmp_path / name, [opening(), recording(2.0), *lines, summary(60.0), ended()]))

    machine, human = record("machine", MACHINE), record("human", HUMAN)
    export(human, ["elan", "boris", "csv", "textgrid", "bids"], tmp_path / "out", {})
    return machine.path, tmp_path / "out"


def test_every_format_gives_the_same_annotations(sessions):
    _, out = sessions
    expected = [Annotation(name, onset + 2.0, offset + 2.0) for name, onset, offset in HUMAN]
    files = ["human.eaf", "human.boris", "human-events.csv", "human.TextGrid"]
    files.append(str(next(out.glob("human-bids/sub-*/beh/*_events.tsv")).relative_to(out)))
    for name in files:
        found = read_annotations(out / name).found
        assert [one.word for one in found] == [one.word for one in expected], name
        for one, other in zip(found, expected, strict=True):
            assert (one.onset_s, one.offset_s) == pytest.approx((other.onset_s, other.offset_s), abs=0.0011), name


def test_the_command_prints_the_golden_figures(sessions, capsys):
    machine, out = sessions
    assert main(["agreement", str(machine), str(out / "human.eaf"), "--json", "--between", "2", "62"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["actions"]["kappa"] == round(32 / 137, 4)
    assert found["actions"]["names"]["nodding"]["slice_kappa"] == round(16 / 37, 4)
    assert main(["agreement", str(machine), str(out / "human.boris")]) == 0
    assert "modified kappa" in capsys.readouterr().out


def test_disagreements_go_into_a_copy_of_the_eaf(sessions, tmp_path):
    pympi = pytest.importorskip("pympi")
    machine, out = sessions
    target = tmp_path / "look again.eaf"
    before = (out / "human.eaf").read_bytes()
    assert main(["agreement", str(machine), str(out / "human.eaf"), "--disagreements", str(target)]) == 0
    eaf = pympi.Eaf(str(target), suppress_version_warning=True)
    found = sorted((int(one[0]), int(one[1]), one[2]) for one in eaf.get_annotation_data_for_tier("disagreement"))
    assert found == [
        (12000, 14000, "shaking head, not nodding"),
        (32000, 36000, f"{NOSE}, not {FACE}"),
        (42000, 42500, "false: waving"),
        (52000, 53000, "false: nodding"),
    ]
    overlapping = eaf.get_annotation_data_for_tier("disagreement 2")
    assert [(int(one[0]), int(one[1]), one[2]) for one in overlapping] == [(42000, 44000, "missed: waving")]
    times = [int(slot.get("TIME_VALUE")) for slot in ElementTree.parse(target).getroot().iter("TIME_SLOT")]
    assert times == sorted(times)
    assert (out / "human.eaf").read_bytes() == before
    assert read_annotations(target).found == read_annotations(out / "human.eaf").found
    with pytest.raises(BadInput, match="a new --disagreements file"):
        write_disagreements(out / "human.eaf", target, [])


def test_time_origin_is_honoured(sessions):
    _, out = sessions
    path = out / "human.eaf"
    text = path.read_text(encoding="utf-8").replace("<MEDIA_DESCRIPTOR ", '<MEDIA_DESCRIPTOR TIME_ORIGIN="1500" ')
    path.write_text(text, encoding="utf-8")
    assert read_annotations(path).found[0] == Annotation("nodding", 1.0 + 2.0 + 1.5, 3.0 + 2.0 + 1.5)


def test_words_of_a_laboratory(tmp_path, capsys):
    path = tmp_path / "coder.csv"
    rows = [("Nick", 1, 2), ("B5", 3, 4), ("nodding", 5, 6), ("nose tuch", 7, 8), ("nose tuch", 9, 9.5)]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";").writerows([("code", "start", "stop"), *rows])
    human = read_annotations(path)
    with pytest.raises(BadInput, match=r"coder\.csv with 'Nick', 'nose tuch'; write a map with `lab words FILE`"):
        translate(human, {})
    text = first_map([human])
    assert '"Nick" = []' in text
    assert '"nose tuch" = []  # 2 annotations; perhaps touching nose\n' in text
    assert '"nodding" = "nodding"' in text
    words = tmp_path / "words.toml"
    assert main(["words", str(path), "--out", str(words)]) == 0
    assert words.read_text(encoding="utf-8") == text
    filled = text.replace('"Nick" = []', '"Nick" = "nodding"').replace(
        '"nose tuch" = []', f'"nose tuch" = ["touching nose", "{FACE}"]'
    )
    words.write_text(filled, encoding="utf-8")
    found = translate(human, read_map(words))
    assert [sorted(one.names) for one in found] == [
        ["nodding"],
        ["bowing head"],
        ["nodding"],
        [FACE, NOSE],
        [FACE, NOSE],
    ]
    capsys.readouterr()
    words.write_text(filled.replace("touching nose", "touching noze"), encoding="utf-8")
    assert main(["agreement", str(path), str(path), "--map", str(words)]) == 2
    assert "'touching noze' for 'nose tuch'; perhaps 'touching nose'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.eaf", "<ANNOTATION_DOCUMENT/>", "an .eaf with tiers"),
        ("b.eaf", "no XML", r"annotations in \.eaf"),
        ("c.csv", "when,what\n1,nodding\n", "columns for onset, offset or duration, and name"),
        ("d.csv", "onset,offset,name\n2,1,nodding\n", "annotations that end after they begin"),
        ("e.boris", '{"observations": {}, "behaviors_conf": {}}', "with one observation"),
        ("f.doc", "", "or one of .eaf"),
    ],
)
def test_what_is_no_annotation_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=message):
        read_annotations(tmp_path / name)


def test_a_state_event_that_does_not_stop_is_refused(tmp_path):
    project = {
        "behaviors_conf": {"0": {"code": "nodding", "type": "State event"}},
        "observations": {"one": {"events": [[1.5, "", "nodding", "", ""]]}},
    }
    (tmp_path / "a.boris").write_text(json.dumps(project))
    with pytest.raises(BadInput, match=r"'nodding' at 1\.5 s does not stop; pair it in BORIS"):
        read_annotations(tmp_path / "a.boris")


def test_an_empty_file_of_words_maps_nothing():
    assert first_map([Annotations(path=None, found=())]).endswith("[words]\n")
