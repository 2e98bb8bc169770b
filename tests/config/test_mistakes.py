"""Every mistake in a configuration is reported at once, at its line and column, with what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from cicada.config import load_config, parse_config
from cicada.errors import ConfigError, ConfigErrors
from cicada.sim.scenariofile import parse_scenario

TEN_MISTAKES = """\
[swarm]
name = "two words"
sed = 7
workers = "many"

[[group]]
name = "core"
count = 0
address = "localhost:20000"

[[group]]
name = "core"
count = 10
address = "127.0.0.1:65530"

[[group]]
name = "edge"
count = "3"
address = "8.8.8.8"

[peer]
log_level = "inf"
"""

GOOD = """\
[swarm]
name = "good"

[[group]]
name = "core"
count = 20
address = "127.0.0.1:20000"
"""


def mistakes_in(text: str) -> tuple[ConfigError, ...]:
    try:
        parse_config(text)
    except ConfigErrors as error:
        return error.errors
    return ()


def mistakes(text: str) -> tuple[ConfigError, ...]:
    with pytest.raises(ConfigErrors) as raised:
        parse_config(text, file="swarm.toml")
    return raised.value.errors


def only(text: str) -> str:
    (error,) = mistakes(text)
    return str(error)


def test_ten_mistakes_give_ten_messages_in_the_order_of_the_file() -> None:
    found = [(error.line, error.column, error.problem.split(":")[0]) for error in mistakes(TEN_MISTAKES)]
    assert found == [
        (2, 8, "swarm.name"),
        (3, 1, "swarm.sed"),
        (4, 11, "swarm.workers"),
        (8, 9, "group[0].count"),
        (9, 11, "group[0].address"),
        (12, 8, "group[1].name"),
        (14, 11, "group[1].address"),
        (18, 9, "group[2].count"),
        (19, 11, "group[2].address"),
        (22, 13, "peer.log_level"),
    ]


def test_a_mistake_reads_as_file_line_column_and_path() -> None:
    text = GOOD.replace("count = 20", "count = 0")
    assert only(text) == "swarm.toml:6:9: group[0].count: must be at least 1, got 0"


def test_the_message_of_all_mistakes_has_one_line_for_each() -> None:
    with pytest.raises(ConfigErrors) as raised:
        parse_config(TEN_MISTAKES, file="swarm.toml")
    assert len(str(raised.value).splitlines()) == len(raised.value.errors)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("count = 20", "cuont = 20"), "did you mean 'count'?"),
        (("[swarm]", "[swarm]\nworker = 3"), "did you mean 'workers'?"),
        (("[swarm]", "[supervison]\n[swarm]"), "did you mean 'supervision'?"),
        (("[swarm]", '[peer]\nlog_level = "warn"\n[swarm]'), "did you mean 'warning'?"),
        (("[swarm]", "[swarm]\nzzz = 3"), "there is name, seed, workers, peers_per_worker"),
        (
            ("127.0.0.1", "example.com"),
            'is a host name: write its numeric address, for example "127.0.0.1:20000"',
        ),
        (("127.0.0.1:20000", "127.0.0.1"), "write host:port"),
        (("[swarm]", "[swarm]\nkey_file = 3"), "expected text"),
        (("[swarm]", '[peer]\nidentity = "new"\n[swarm]'), "ephemeral"),
        (("127.0.0.1", "0.0.0.0"), 'the one they are dialled at, as "127.0.0.1:20000"'),
        (("127.0.0.1", "[::]"), 'the one they are dialled at, as "[::1]:20000"'),
        (("127.0.0.1", "224.0.0.7"), "is no address of one machine"),
        (("127.0.0.1", "[ff02::1]"), "is no address of one machine"),
        (("127.0.0.1", "255.255.255.255"), "is no address of one machine"),
        (("20000", "0"), "port 0 is out of range"),
        (("20000", "70000"), "port 70000 is out of range"),
        (("20000", "65530"), "core-6 would get 65536; start at 65516 or lower"),
        (("count = 20", "count = 70000"), "use groups with different addresses"),
        (("count = 20", "count = true"), "expected a whole number, got true"),
        (("count = 20", "count = 2.5"), "expected a whole number, got 2.5"),
        (("count = 20", 'count = "20"'), 'expected a whole number, got "20"'),
        (("[swarm]", "[swarm]\nworkers = 0"), 'expected "auto" or a whole number from 1'),
        (("[swarm]", "[swarm]\nworkers = true"), 'expected "auto" or a whole number from 1'),
        (("[swarm]", "[swarm]\nseed = -1"), "must be at least 0, got -1"),
        (("[swarm]", "[swarm]\nworkers = 2\npeers_per_worker = 5"), "give one of the two"),
        (("[swarm]", "[supervision]\nwithin_s = 0\n[swarm]"), "must be more than 0, got 0"),
        (("[swarm]", "[supervision]\nwithin_s = inf\n[swarm]"), "expected a finite number, got inf"),
        (("[swarm]", '[launch]\nwaves = "no"\n[swarm]'), 'expected true or false, got "no"'),
        (("[swarm]", "[ring]\nplaces_per_host = 79\n[swarm]"), "must be at least 80, got 79"),
        (("[swarm]", "[ring]\ngroup_host = true\n[swarm]"), "did you mean 'group_hosts'?"),
        (('"core"', '"all"'), "already has a meaning"),
        (('"core"', '"core-1"'), "ends like a peer's name"),
        (('"core"', '"' + "x" * 49 + '"'), "at most 48 characters, this one has 49"),
        (('"core"', "3"), "expected text in quotes, got 3"),
    ],
)
def test_a_mistake_says_what_would_be_right(change: tuple[str, str], expected: str) -> None:
    text = GOOD.replace(*change)
    assert text != GOOD
    assert any(expected in error.problem for error in mistakes(text)), [str(e) for e in mistakes(text)]


def test_a_missing_key_is_reported_at_its_table() -> None:
    text = GOOD.replace("count = 20\n", "")
    assert only(text) == "swarm.toml:4:3: group[0].count: missing: add count = 20"


def test_an_empty_file_lacks_both_sections() -> None:
    assert [error.problem.split(":")[0] for error in mistakes("")] == ["swarm", "group"]


def test_an_empty_list_of_groups_is_refused() -> None:
    assert "at least one [[group]]" in only('group = []\nswarm = {name = "a"}\n')


def test_one_table_where_several_are_meant_is_refused() -> None:
    assert "expected [[group]] tables, got a table" in only(GOOD.replace("[[group]]", "[group]"))


def test_groups_that_overlap_name_the_port_both_peers_and_a_free_port() -> None:
    text = GOOD + '[[group]]\nname = "edge"\ncount = 5\naddress = "127.0.0.1:20018"\n'
    assert only(text) == (
        "swarm.toml:11:11: group[1].address: port 20018 would be both edge-0's and core-18's (group[0]); "
        "start at port 20020"
    )


@pytest.mark.parametrize(("port", "mistaken"), [(20019, 1), (20020, 0), (19995, 0), (19996, 1)])
def test_groups_may_touch_but_not_share_a_port(port: int, mistaken: int) -> None:
    text = GOOD + f'[[group]]\nname = "edge"\ncount = 5\naddress = "127.0.0.1:{port}"\n'
    assert len(mistakes_in(text)) == mistaken


@pytest.mark.parametrize(("port", "mistaken"), [(65516, 0), (65517, 1)])
def test_the_last_port_may_be_used_and_none_after_it(port: int, mistaken: int) -> None:
    assert len(mistakes_in(GOOD.replace("20000", str(port)))) == mistaken


def test_groups_on_different_hosts_may_use_the_same_ports() -> None:
    text = GOOD + '[[group]]\nname = "edge"\ncount = 5\naddress = "127.0.0.2:20018"\n'
    assert parse_config(text).peer_count == 25


def test_other_spellings_of_one_address_overlap_too() -> None:
    text = GOOD + '[[group]]\nname = "edge"\ncount = 5\naddress = "[::ffff:127.0.0.1]:20018"\n'
    assert "start at port 20020" in "".join(str(error) for error in mistakes(text))


def test_a_wrong_field_of_a_group_hides_no_other_mistake_of_it() -> None:
    text = GOOD.replace('"core"', '"all"').replace("20000", "65530")
    assert [error.line for error in mistakes(text)] == [5, 7]


def test_syntax_errors_are_reported_together_with_the_other_mistakes() -> None:
    text = GOOD.replace('name = "good"', 'name = "good\nsed = 3\nseed = ')
    found = mistakes(text)
    assert [(error.line, error.column) for error in found] == [(2, 13), (3, 1), (4, 8)]
    assert "not valid TOML" in found[0].problem
    assert "unknown key" in found[1].problem


def test_a_key_on_an_unreadable_line_is_not_called_missing() -> None:
    assert "not valid TOML" in only(GOOD.replace('name = "good"', "name = good"))


def test_a_broken_header_is_one_mistake_and_its_rows_are_none() -> None:
    assert "not valid TOML" in only(GOOD.replace("[[group]]", "[[group]"))


def test_mistakes_after_a_broken_header_are_still_reported() -> None:
    text = GOOD.replace("[swarm]", "[swarm") + "[launch]\nwaves = 3\n"
    assert [error.line for error in mistakes(text)] == [1, 9]


@pytest.mark.parametrize("ending", ["x = [1,\n2", 'x = """never closed', "x"])
def test_something_never_closed_is_one_mistake_at_the_end(ending: str) -> None:
    (error,) = mistakes(GOOD + ending)
    assert error.line == len((GOOD + ending).splitlines())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"seed = {'9' * 400}", ":2:8: swarm.seed: no number is that large"),
        (f"seed = {'9' * 5000}", ":2:8: not valid TOML: a number of so many digits"),
        (f"seed = {'[' * 5000}", ":1:1: not valid TOML: brackets within brackets, too deep"),
    ],
)
def test_what_is_beyond_all_measure_is_one_mistake(line: str, words: str) -> None:
    assert words in only(GOOD.replace("[swarm]", f"[swarm]\n{line}"))


def test_an_override_that_is_beyond_all_measure_names_its_flag() -> None:
    for digits in ("9" * 400, "9" * 5000):
        with pytest.raises(ConfigErrors, match=r"^--set swarm\.seed=9+: swarm\.seed: "):
            parse_config(GOOD, overrides=[("swarm.seed", digits)])


def test_columns_count_characters_not_bytes() -> None:
    text = 'swarm = {name = "ä", seed = -1}\n' + GOOD.split("\n\n")[1]
    assert [(error.line, error.column) for error in mistakes(text)] == [(1, 17), (1, 29)]


def test_positions_follow_dotted_and_quoted_keys_and_inline_tables() -> None:
    text = 'swarm.name = "a"\nswarm."seed" = -1\ngroup = [\n  {name = "a", count = 0, address = "127.0.0.1:1"},\n]\n'
    assert [(error.line, error.column) for error in mistakes(text)] == [(2, 16), (4, 24)]


def test_windows_line_ends_change_no_position() -> None:
    before = [(error.line, error.column) for error in mistakes(TEN_MISTAKES)]
    after = [(error.line, error.column) for error in mistakes(TEN_MISTAKES.replace("\n", "\r\n"))]
    assert after == before


def test_a_value_of_an_unknown_key_is_never_shown() -> None:
    text = GOOD.replace("[swarm]", '[swarm]\nkey = "hunter2"')
    assert "hunter2" not in only(text)


def test_an_override_that_is_wrong_names_its_flag() -> None:
    with pytest.raises(ConfigErrors) as raised:
        parse_config(
            GOOD,
            overrides=[("swarm.seed", "x"), ("group.cor.count", "3"), ("swarm", "1")],
            counts={"core": 0},
        )
    assert [str(error) for error in raised.value.errors] == [
        '--set swarm.seed=x: swarm.seed: expected a whole number, got "x"',
        "-n core=0: group[0].count: must be at least 1, got 0",
        "--set group.cor.count=3: no group 'cor': did you mean 'core'?",
        "--set swarm=1: write SECTION.KEY=VALUE, for example swarm.seed=7, or SECTION.TABLE.KEY=VALUE",
    ]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("swram.seed", "swram: unknown section: did you mean 'swarm'?"),
        ("watchh.listen", "watchh: unknown section: did you mean 'watch'?"),
        ("group[0].count", "group[0]: unknown section: did you mean 'group'?"),
        ("peer.nta.enabled", "peer.nta: unknown key: did you mean 'nat'?"),
        ("peer.nat.enabeld", "peer.nat.enabeld: unknown key: did you mean 'enabled'?"),
    ],
)
def test_a_section_that_an_override_misspells_is_blamed_on_its_flag(key: str, expected: str) -> None:
    with pytest.raises(ConfigErrors) as raised:
        parse_config(GOOD, overrides=[(key, "8")])
    assert [str(error) for error in raised.value.errors] == [f"--set {key}=8: {expected}"]


def test_a_section_that_the_file_misspells_too_is_blamed_on_the_file() -> None:
    with pytest.raises(ConfigErrors) as raised:
        parse_config("[swram]\nseed = 3\n" + GOOD, file="f", overrides=[("swram.seed", "8")])
    assert str(raised.value.errors[0]).startswith("f:1:2: swram: unknown section")


def test_an_override_reaches_a_table_within_a_section() -> None:
    assert parse_config(GOOD, overrides=[("peer.nat.enabled", "true")]).peer.nat.enabled
    text = GOOD + "[peer.nat]\nenabled = true\n"
    assert not parse_config(text, overrides=[("peer.nat.enabled", "false")]).peer.nat.enabled


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("swarm.name.first", "swarm.name is not a table"),
        ("peer.nat.enabled.now", "SECTION.TABLE.KEY=VALUE"),
        ("swarm..seed", "SECTION.TABLE.KEY=VALUE"),
        (".".join("a" * 5000), "SECTION.TABLE.KEY=VALUE"),
    ],
)
def test_an_override_of_no_table_is_one_clear_mistake(key: str, expected: str) -> None:
    with pytest.raises(ConfigErrors) as raised:
        parse_config(GOOD, overrides=[(key, "8")])
    (error,) = raised.value.errors
    assert expected in str(error)


def test_a_file_of_another_kind_is_told_what_it_is() -> None:
    with pytest.raises(ConfigErrors) as raised:
        parse_config('[sim]\nname = "a"\n[[fault]]\nat = "1s"\ndo = "part"\n', file="sim.toml")
    assert str(raised.value) == "sim.toml: a scenario of the simulator: `cicada sim sim.toml` runs it"
    with pytest.raises(ConfigErrors) as raised:
        parse_scenario(GOOD, file="a.toml", overrides=[("sim.seeds", "3")])
    assert str(raised.value) == "a.toml: the configuration of a swarm: `cicada up a.toml` starts it"


def test_an_override_mends_a_mistake_of_the_file() -> None:
    assert parse_config(GOOD.replace("20\n", "0\n"), counts={"core": 3}).peer_count == 3


def test_overrides_are_read_as_toml_and_otherwise_as_text() -> None:
    settings = [
        ("swarm.seed", "7"),
        ("swarm.name", "other"),
        ("launch.waves", "false"),
        ("swarm.workers", '"auto"'),
    ]
    config = parse_config(GOOD, overrides=settings)
    assert (config.swarm.seed, config.swarm.name, config.launch.waves) == (7, "other", False)
    assert config.swarm.workers == "auto"


@pytest.mark.parametrize(
    ("metrics", "watch", "clash"),
    [
        ("127.0.0.1:9620", "127.0.0.1:9620", True),
        ("127.0.0.1:9621", "127.0.0.1:9620", True),
        ("0.0.0.0:9621", "127.0.0.1:9620", True),
        ("[::1]:9621", "[::]:9620", True),
        ("127.0.0.1:9622", "127.0.0.1:9620", False),
        ("127.0.0.1:9619", "127.0.0.1:9620", False),
        ("127.0.0.2:9620", "127.0.0.1:9620", False),
    ],
)
def test_metrics_and_watchers_have_ports_of_their_own(metrics: str, watch: str, clash: bool) -> None:
    listen = f'[metrics]\nlisten = "{metrics}"\n[watch]\nlisten = "{watch}"\nkey_file = "k"\n'
    found = [str(error) for error in mistakes_in(GOOD + listen)]
    port = metrics.rpartition(":")[2]
    expected = f"metrics.listen: port {port} is one of the two of [watch] listen: choose another one"
    assert [mistake.partition(": ")[2] for mistake in found] == [expected] * clash


def test_a_file_that_is_not_there_suggests_the_one_that_is(tmp_path: Path) -> None:
    (tmp_path / "swarm-20.toml").write_text(GOOD)
    with pytest.raises(ConfigErrors, match=r"swarm-21\.toml: no such file: did you mean .*swarm-20\.toml\?"):
        load_config(tmp_path / "swarm-21.toml")


@pytest.mark.parametrize(
    ("content", "expected"), [(b"\xff\xfe", "not UTF-8"), (b"#" * (2**20 + 1), "larger than")]
)
def test_a_file_that_is_no_configuration_is_one_clear_mistake(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigErrors, match=expected) as raised:
        load_config(path)
    assert len(raised.value.errors) == 1


def test_a_folder_is_one_clear_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="a folder"):
        load_config(tmp_path)


def test_links_that_are_not_encrypted_stay_on_this_machine_and_take_no_key() -> None:
    text = """
[swarm]
name = "plain"
key_file = "swarm.key"
[links]
encrypt = false
[peer]
keys = "hosts.json"
[[group]]
name = "near"
count = 2
address = "127.0.0.1:20000"
[[group]]
name = "far"
count = 2
address = "[2001:db8::1]:20000"
"""
    with pytest.raises(ConfigErrors) as raised:
        parse_config(text)
    found = [str(error) for error in raised.value.errors]
    assert len(found) == 3
    assert "2001:db8::1 is not a loopback address" in found[2]
    assert all("links.encrypt is false" in words for words in found[:2])


def test_mistakes_about_peers_that_do_harm_say_what_is_allowed() -> None:
    text = (
        GOOD
        + """behaviour = "alt"
behaviour_share = 2

[[group]]
name = "far"
count = 3
address = "10.0.0.1:20000"
behaviour = "alter"

[[group]]
name = "mild"
count = 3
address = "127.0.0.1:20100"
behaviour_share = "5%"
"""
    )
    found = [(error.line, error.column, str(error)) for error in mistakes(text)]
    assert [place[:2] for place in found] == [(8, 13), (9, 19), (15, 13), (21, 19)]
    assert 'expected one of "drop", "alter", "misroute", "lie-in-lookups", "replay", "delay"' in found[0][2]
    assert "did you mean 'alter'?" in found[0][2]
    assert "must be at most 1, got 2" in found[1][2]
    assert "peers that do harm on purpose stay on loopback addresses: 10.0.0.1 is none" in found[2][2]
    assert 'of what? Add behaviour = "drop"' in found[3][2]


def test_a_group_that_does_harm_says_to_how_many_messages() -> None:
    (group,) = parse_config(GOOD + 'behaviour = "drop"\nbehaviour_share = "5%"\n').groups
    assert str(group.harm) == "drop 5%"
    assert parse_config(GOOD).groups[0].harm is None


@pytest.mark.parametrize(
    ("watch", "expected"),
    [
        ('listen = "127.0.0.1:9620"', "watch.listen: add key_file: nobody watches without a key"),
        ('key_file = "watch.key"', "watch.key_file: add listen"),
        ('listen = "127.0.0.1:19999"\nkey_file = "watch.key"', "watch.listen: port 20000 is core-0's"),
        (
            'listen = "127.0.0.1:65535"\nkey_file = "watch.key"',
            "watch.listen: a port from 1 to 65534, as the port after it is used too",
        ),
        ('listen = "everywhere:1"\nkey_file = "watch.key"', "watch.listen: "),
    ],
)
def test_watching_from_elsewhere_takes_a_key_and_two_ports_of_its_own(watch: str, expected: str) -> None:
    assert expected in only(f"{GOOD}\n[watch]\n{watch}\n")
