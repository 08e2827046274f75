from engine_runner import Progress


def test_progress_restores_what_it_saved() -> None:
    progress = Progress(epoch=3, iter=40, validated=2)

    restored = Progress()
    restored.load_state_dict(progress.state_dict())

    assert restored == progress


def test_progress_advanced_leaves_the_original_alone() -> None:
    progress = Progress(epoch=3, iter=40)

    later = progress.advanced(epochs=1)

    assert (later.epoch, later.iter, progress.epoch) == (4, 40, 3)


def test_progress_reads_the_meta_of_a_foreign_checkpoint() -> None:
    progress = Progress()
    progress.load_state_dict({"epoch": 2, "iter": 9, "seed": 1, "time": "now"})

    assert (progress.epoch, progress.iter) == (2, 9)
