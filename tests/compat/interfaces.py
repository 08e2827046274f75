"""The documented names, and the paths by which libraries import them."""

# By module of `mmengine`: versions 0.5.0 to 0.10.
DOCUMENTED = {
    "_strategy": "BaseStrategy DDPStrategy DeepSpeedStrategy FSDPStrategy SingleDeviceStrategy",
    "analysis": (
        "ActivationAnalyzer FlopAnalyzer activation_count flop_count get_model_complexity_info "
        "parameter_count parameter_count_table"
    ),
    "config": "Config ConfigDict DictAction read_base",
    "dataset": (
        "BaseDataset COLLATE_FUNCTIONS ClassBalancedDataset Compose ConcatDataset "
        "DefaultSampler InfiniteSampler RepeatDataset default_collate force_full_init "
        "pseudo_collate worker_init_fn"
    ),
    "device": (
        "get_device get_max_cuda_memory is_cuda_available is_mlu_available is_mps_available "
        "is_npu_available"
    ),
    "dist": (
        "all_gather all_gather_object all_reduce all_reduce_dict all_reduce_params barrier "
        "broadcast broadcast_object_list cast_data_device collect_results collect_results_cpu "
        "collect_results_gpu gather gather_object get_backend get_comm_device get_data_device "
        "get_default_group get_dist_info get_local_group get_local_rank get_local_size get_rank "
        "get_world_size infer_launcher init_dist init_local_group is_distributed "
        "is_main_process master_only sync_random_seed"
    ),
    "evaluator": "BaseMetric DumpResults Evaluator get_metric_value",
    "fileio": (
        "BaseFileHandler BaseStorageBackend FileClient HTTPBackend HardDiskBackend JsonHandler "
        "LmdbBackend LocalBackend MemcachedBackend PetrelBackend PickleHandler YamlHandler "
        "copy_if_symlink_fails copyfile copyfile_from_local copyfile_to_local copytree "
        "copytree_from_local copytree_to_local dict_from_file dump exists "
        "generate_presigned_url get get_file_backend get_local_path get_text isdir isfile "
        "join_path list_dir_or_file list_from_file load put put_text register_backend "
        "register_handler remove rmtree"
    ),
    "hooks": (
        "CheckpointHook DistSamplerSeedHook EMAHook EarlyStoppingHook EmptyCacheHook Hook "
        "IterTimerHook LoggerHook NaiveVisualizationHook ParamSchedulerHook PrepareTTAHook "
        "ProfilerHook RuntimeInfoHook SyncBuffersHook"
    ),
    "hub": "get_config get_model",
    "infer": "BaseInferencer",
    "logging": "HistoryBuffer MMLogger MessageHub print_log",
    "model": (
        "BaseAveragedModel BaseDataPreprocessor BaseInit BaseModel BaseModule BaseTTAModel "
        "Caffe2XavierInit ConstantInit ExponentialMovingAverage ImgDataPreprocessor KaimingInit "
        "MMDistributedDataParallel MMFullyShardedDataParallel MMSeparateDistributedDataParallel "
        "ModuleDict ModuleList MomentumAnnealingEMA NormalInit PretrainedInit Sequential "
        "StochasticWeightAverage TruncNormalInit UniformInit XavierInit bias_init_with_prob "
        "caffe2_xavier_init constant_init convert_sync_batchnorm detect_anomalous_params "
        "initialize is_model_wrapper kaiming_init merge_dict normal_init revert_sync_batchnorm "
        "stack_batch trunc_normal_init uniform_init update_init_info xavier_init"
    ),
    "optim": (
        "AmpOptimWrapper BaseOptimWrapper ConstantLR ConstantMomentum ConstantParamScheduler "
        "CosineAnnealingLR CosineAnnealingMomentum CosineAnnealingParamScheduler "
        "DefaultOptimWrapperConstructor ExponentialLR ExponentialMomentum "
        "ExponentialParamScheduler LinearLR LinearMomentum LinearParamScheduler MultiStepLR "
        "MultiStepMomentum MultiStepParamScheduler OPTIMIZERS OPTIM_WRAPPER_CONSTRUCTORS "
        "OneCycleLR OneCycleParamScheduler OptimWrapper OptimWrapperDict PolyLR PolyMomentum "
        "PolyParamScheduler ReduceOnPlateauLR ReduceOnPlateauMomentum "
        "ReduceOnPlateauParamScheduler StepLR StepMomentum StepParamScheduler _ParamScheduler "
        "build_optim_wrapper"
    ),
    "registry": (
        "DATASETS DATA_SAMPLERS DefaultScope EVALUATOR FUNCTIONS HOOKS INFERENCERS "
        "LOG_PROCESSORS LOOPS METRICS MODELS MODEL_WRAPPERS OPTIMIZERS OPTIM_WRAPPERS "
        "OPTIM_WRAPPER_CONSTRUCTORS PARAM_SCHEDULERS RUNNERS RUNNER_CONSTRUCTORS Registry "
        "STRATEGIES TASK_UTILS TRANSFORMS VISBACKENDS VISUALIZERS WEIGHT_INITIALIZERS "
        "build_from_cfg build_model_from_cfg build_runner_from_cfg build_scheduler_from_cfg "
        "count_registered_modules init_default_scope traverse_registry_tree"
    ),
    "runner": (
        "BaseLoop CheckpointLoader EpochBasedTrainLoop FlexibleRunner IterBasedTrainLoop "
        "LogProcessor Priority Runner TestLoop ValLoop autocast find_latest_checkpoint "
        "get_deprecated_model_names get_external_models get_mmcls_models get_priority "
        "get_state_dict get_torchvision_models load_checkpoint load_state_dict save_checkpoint "
        "set_random_seed turn_on_activation_checkpointing weights_to_cpu"
    ),
    "structures": "BaseDataElement InstanceData LabelData PixelData",
    "testing": (
        "RunnerTestCase assert_allclose assert_attrs_equal assert_dict_contains_subset "
        "assert_dict_has_keys assert_is_norm_layer assert_keys_equal assert_params_all_zeros "
        "check_python_script"
    ),
    "utils": (
        "ManagerMeta ManagerMixin ProgressBar Timer TimerError apply_to call_command "
        "check_file_exist check_prerequisites check_time concat_list deprecated_api_warning "
        "deprecated_function digit_version fopen get_git_hash get_installed_path "
        "get_object_from_string has_method import_modules_from_strings install_package is_abs "
        "is_filepath is_installed is_list_of is_method_overridden is_seq_of is_str is_tuple_of "
        "iter_cast list_cast mkdir_or_exist requires_executable requires_package scandir "
        "slice_list symlink to_1tuple to_2tuple to_3tuple to_4tuple to_ntuple "
        "track_iter_progress track_parallel_progress track_progress track_progress_rich "
        "tuple_cast"
    ),
    "utils.dl_utils": (
        "TORCH_VERSION TimeCounter collect_env has_batch_norm is_jit_tracing is_norm load_url "
        "mmcv_full_available set_multi_processing tensor2imgs torch_meshgrid"
    ),
    "visualization": (
        "AimVisBackend BaseVisBackend ClearMLVisBackend LocalVisBackend MLflowVisBackend "
        "TensorboardVisBackend Visualizer WandbVisBackend"
    ),
}

# Modules below those, with the names that libraries import from them.
IMPORTED = {
    "analysis.jit_analysis": "JitModelAnalysis",
    "analysis.print_helper": "_format_size",
    "config.config": "Config",
    "config.lazy": "LazyObject LazyAttr",
    "config.utils": "MODULE2PACKAGE",
    "dataset.base_dataset": "Compose BaseDataset",
    "dataset.utils": "worker_init_fn",
    "dist.utils": "get_dist_info master_only",
    "evaluator.evaluator": "Evaluator",
    "evaluator.metric": "_to_cpu BaseMetric",
    "fileio.backends": "BaseStorageBackend",
    "fileio.file_client": "FileClient",
    "fileio.io": "load dump get",
    "hooks": "NPUProfilerHook",
    "hooks.checkpoint_hook": "CheckpointHook",
    "hooks.early_stopping_hook": "EarlyStoppingHook",
    "hooks.ema_hook": "EMAHook",
    "hooks.empty_cache_hook": "EmptyCacheHook",
    "hooks.hook": "Hook",
    "hooks.iter_timer_hook": "IterTimerHook",
    "hooks.logger_hook": "LoggerHook",
    "hooks.naive_visualization_hook": "NaiveVisualizationHook",
    "hooks.param_scheduler_hook": "ParamSchedulerHook",
    "hooks.profiler_hook": "NPUProfilerHook ProfilerHook",
    "hooks.runtime_info_hook": "RuntimeInfoHook",
    "hooks.sampler_seed_hook": "DistSamplerSeedHook",
    "hooks.sync_buffer_hook": "SyncBuffersHook",
    "hooks.test_time_aug_hook": "PrepareTTAHook",
    "infer.infer": "ModelType BaseInferencer ImgType ConfigType",
    "model.averaged_model": "StochasticWeightAverage",
    "model.base_model": "BaseModel",
    "model.base_module": "BaseModule",
    "model.efficient_conv_bn_eval": "turn_on_efficient_conv_bn_eval",
    "model.utils": "revert_sync_batchnorm",
    "model.weight_init": (
        "constant_init trunc_normal_ kaiming_init normal_init trunc_normal_init xavier_init"
    ),
    "model.wrappers": "is_model_wrapper MMDistributedDataParallel",
    "model.wrappers.distributed": "MMDistributedDataParallel",
    "model.wrappers.fully_sharded_distributed": "MMFullyShardedDataParallel",
    "model.wrappers.separate_distributed": "MMSeparateDistributedDataParallel",
    "optim": "ApexOptimWrapper ZeroRedundancyOptimizer",
    "optim.optimizer.optimizer_wrapper": "OptimWrapper",
    "optim.optimizer.optimizer_wrapper_dict": "OptimWrapperDict",
    "optim.scheduler": "MultiStepLR",
    "optim.scheduler.lr_scheduler": "LRSchedulerMixin",
    "optim.scheduler.momentum_scheduler": "MomentumSchedulerMixin",
    "optim.scheduler.param_scheduler": "INF _ParamScheduler OptimizerType",
    "registry.utils": "init_default_scope",
    "runner.amp": "autocast",
    "runner.base_loop": "BaseLoop",
    "runner.checkpoint": (
        "_load_checkpoint load_checkpoint _load_checkpoint_with_prefix CheckpointLoader "
        "load_state_dict _load_checkpoint_to_model"
    ),
    "runner.loops": "_InfiniteDataloaderIterator EpochBasedTrainLoop",
    "runner.runner": "Runner ConfigType",
    "runner.utils": "calc_dynamic_intervals",
    "utils.dl_utils": "TORCH_VERSION collect_env mmcv_full_available set_multi_processing",
    "utils.dl_utils.collect_env": "collect_env",
    "utils.dl_utils.misc": "mmcv_full_available",
    "utils.dl_utils.parrots_wrapper": (
        "SyncBatchNorm _BatchNorm _InstanceNorm is_rocm_pytorch _ConvNd _ConvTransposeMixin "
        "_MaxPoolNd _AvgPoolNd _AdaptiveAvgPoolNd _AdaptiveMaxPoolNd"
    ),
    "utils.misc": "is_list_of",
    "utils.package_utils": "package2module",
    "utils.path": "mkdir_or_exist",
    "utils.progressbar": "init_pool ProgressBar",
    "utils.version_utils": "digit_version",
    "version": "__version__ parse_version_info version_info",
    "visualization.utils": (
        "img_from_canvas value2list check_type tensor2ndarray color_val_matplotlib "
        "check_type_and_length color_str2rgb wait_continue"
    ),
    "visualization.vis_backend": (
        "force_init_env BaseVisBackend DVCLiveVisBackend NeptuneVisBackend"
    ),
}
