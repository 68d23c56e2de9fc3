from pathlib import Path

from sprat.bench import peak_memory


def test_memory_grows_by_at_least_the_weights(small_file: Path, large_file: Path):
    small = peak_memory(small_file, (12, 10), repeats=2)
    large = peak_memory(large_file, (12, 10), repeats=2)
    for seen in (small, large):
        assert seen["network_rss_bytes"] == seen["peak_rss_bytes"] - seen["baseline_rss_bytes"]
        assert 10_000_000 < seen["baseline_rss_bytes"] < 1_000_000_000
        assert "2 images of 12x10x1" in seen["conditions"]
        assert "onnxruntime" in seen["conditions"]
    weights = large_file.stat().st_size
    assert weights > 28_000_000
    assert large["network_rss_bytes"] - small["network_rss_bytes"] > weights / 2
    assert 0 < small["network_rss_bytes"] < weights
