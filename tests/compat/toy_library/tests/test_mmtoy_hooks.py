import copy

import pytest
from mmengine.registry import HOOKS
from mmengine.testing import RunnerTestCase
from mmtoy.engine import CountSamplesHook


class TestCountSamplesHook(RunnerTestCase):
    def setUp(self):
        HOOKS.register_module(module=CountSamplesHook, force=True)
        return super().setUp()

    def tearDown(self):
        HOOKS.module_dict.pop("CountSamplesHook")
        return super().tearDown()

    def test_init(self):
        hook = CountSamplesHook()
        self.assertEqual(hook.counts, dict(train=0, val=0, test=0))
        with pytest.raises(TypeError):
            CountSamplesHook(interval=1)

    def test_counts_of_a_training(self):
        cfg = copy.deepcopy(self.epoch_based_cfg)
        cfg.custom_hooks = [dict(type="CountSamplesHook")]
        runner = self.build_runner(cfg)
        runner.train()
        hook = next(h for h in runner.hooks if isinstance(h, CountSamplesHook))
        self.assertEqual(hook.counts["train"], 24)
        self.assertEqual(hook.counts["val"], 12)
        scalar = runner.message_hub.get_scalar("train/num_samples")
        self.assertEqual(scalar.current(), 24)

    def test_counts_survive_a_resume(self):
        cfg = copy.deepcopy(self.epoch_based_cfg)
        cfg.custom_hooks = [dict(type="CountSamplesHook")]
        runner = self.build_runner(cfg)
        runner.train()
        cfg.resume = True
        cfg.train_cfg.max_epochs = 3
        runner = self.build_runner(cfg)
        runner.train()
        hook = next(h for h in runner._hooks if isinstance(h, CountSamplesHook))
        self.assertEqual(hook.counts["train"], 36)
        self.assertEqual(runner.iter, 12)

    def test_counts_of_iterations(self):
        cfg = copy.deepcopy(self.iter_based_cfg)
        cfg.custom_hooks = [dict(type="CountSamplesHook")]
        runner = self.build_runner(cfg)
        runner.train()
        runner.test()
        hook = next(h for h in runner.hooks if isinstance(h, CountSamplesHook))
        self.assertEqual(hook.counts["train"], 3 * runner.max_iters)
        self.assertEqual(hook.counts["test"], 12)
