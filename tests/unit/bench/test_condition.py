from pathlib import Path

from sprat.bench.condition import cpu_name, load_average


def test_cpu_is_named_as_the_system_names_it():
    name = cpu_name()
    info = Path("/proc/cpuinfo")
    assert name
    if info.exists() and "model name" in info.read_text():
        assert name in info.read_text()


def test_load_is_a_number():
    load = load_average()
    assert load is None or load >= 0
