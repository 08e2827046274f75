"""The table of import names: the modules of `mmengine`, and for each name the module that has it.

A row is ``source: names``; ``public=original`` gives a name of the source another name here. A row
without names is modules of this table, all of whose names the module has, too.
"""

MODULES: dict[str, tuple[str, ...]] = {
    "mmengine": (
        "mmengine.config mmengine.fileio mmengine.logging mmengine.registry mmengine.utils",
        "engine_runner: Hook load_checkpoint save_checkpoint",
    ),
    "mmengine._strategy": (
        "engine_runner.strategies: BaseStrategy DDPStrategy DeepSpeedStrategy FSDPStrategy "
        "SingleDeviceStrategy",
    ),
    "mmengine.analysis": ("mmengine.analysis.complexity_analysis",),
    "mmengine.analysis.complexity_analysis": (
        "engine_model.analysis: ActivationAnalyzer FlopAnalyzer activation_count flop_count "
        "get_model_complexity_info parameter_count parameter_count_table",
    ),
    "mmengine.analysis.jit_analysis": (
        "engine_model.analysis: Handle JitModelAnalysis=OperatorAnalyzer",
    ),
    "mmengine.analysis.jit_handles": ("engine_model.analysis: Handle",),
    "mmengine.analysis.print_helper": (
        "engine_model.analysis: get_model_complexity_info parameter_count_table",
        "mmengine._only_here: _format_size",
    ),
    "mmengine.config": ("mmengine.config.config",),
    "mmengine.config.config": ("engine_config: Config ConfigDict DictAction read_base",),
    "mmengine.config.lazy": ("engine_config: LazyAttr LazyObject",),
    "mmengine.config.utils": ("engine_utils: MODULE2PACKAGE",),
    "mmengine.dataset": (
        "mmengine.dataset.base_dataset mmengine.dataset.dataset_wrapper "
        "mmengine.dataset.sampler mmengine.dataset.utils",
    ),
    "mmengine.dataset.base_dataset": ("engine_dataset: BaseDataset Compose force_full_init",),
    "mmengine.dataset.dataset_wrapper": (
        "engine_dataset: ClassBalancedDataset ConcatDataset RepeatDataset",
    ),
    "mmengine.dataset.sampler": ("engine_dataset: DefaultSampler InfiniteSampler",),
    "mmengine.dataset.utils": (
        "engine_dataset: COLLATE_FUNCTIONS default_collate pseudo_collate worker_init_fn",
    ),
    "mmengine.device": ("mmengine.device.utils",),
    "mmengine.device.utils": (
        "engine_dist.device: get_device get_max_cuda_memory is_cuda_available is_mlu_available "
        "is_mps_available is_npu_available",
    ),
    "mmengine.dist": ("mmengine.dist.dist mmengine.dist.utils",),
    "mmengine.dist.dist": (
        "engine_dist: all_gather all_gather_object all_reduce all_reduce_dict all_reduce_params "
        "broadcast broadcast_object_list collect_results collect_results_cpu "
        "collect_results_gpu gather gather_object sync_random_seed",
    ),
    "mmengine.dist.utils": (
        "engine_dist: barrier cast_data_device get_backend get_comm_device get_data_device "
        "get_default_group get_dist_info get_local_group get_local_rank get_local_size get_rank "
        "get_world_size infer_launcher init_dist init_local_group is_distributed "
        "is_main_process master_only",
    ),
    "mmengine.evaluator": ("engine_evaluator: BaseMetric DumpResults Evaluator get_metric_value",),
    "mmengine.evaluator.evaluator": ("engine_evaluator: Evaluator",),
    "mmengine.evaluator.metric": ("engine_evaluator: BaseMetric DumpResults _to_cpu=to_cpu",),
    "mmengine.evaluator.utils": ("engine_evaluator: get_metric_value",),
    "mmengine.fileio": (
        "mmengine.fileio.backends mmengine.fileio.handlers mmengine.fileio.io "
        "mmengine.fileio.parse",
        "engine_fileio: FileClient",
    ),
    "mmengine.fileio.backends": (
        "engine_fileio: BaseStorageBackend HTTPBackend HardDiskBackend LmdbBackend LocalBackend "
        "MemcachedBackend PetrelBackend register_backend",
    ),
    "mmengine.fileio.file_client": ("engine_fileio: FileClient",),
    "mmengine.fileio.handlers": (
        "engine_fileio: BaseFileHandler JsonHandler PickleHandler YamlHandler register_handler",
    ),
    "mmengine.fileio.io": (
        "engine_fileio: copy_if_symlink_fails copyfile copyfile_from_local copyfile_to_local "
        "copytree copytree_from_local copytree_to_local dump exists generate_presigned_url get "
        "get_file_backend get_local_path get_text isdir isfile join_path list_dir_or_file load "
        "put put_text remove rmtree",
    ),
    "mmengine.fileio.parse": ("engine_fileio: dict_from_file list_from_file",),
    "mmengine.hooks": (
        "engine_runner.hooks: CheckpointHook DistSamplerSeedHook EMAHook EarlyStoppingHook "
        "EmptyCacheHook Hook IterTimerHook LoggerHook NPUProfilerHook NaiveVisualizationHook "
        "ParamSchedulerHook PrepareTTAHook ProfilerHook RuntimeInfoHook SyncBuffersHook",
    ),
    "mmengine.hooks.checkpoint_hook": ("engine_runner.hooks: CheckpointHook",),
    "mmengine.hooks.early_stopping_hook": ("engine_runner.hooks: EarlyStoppingHook",),
    "mmengine.hooks.ema_hook": ("engine_runner.hooks: EMAHook",),
    "mmengine.hooks.empty_cache_hook": ("engine_runner.hooks: EmptyCacheHook",),
    "mmengine.hooks.hook": ("engine_runner.hooks: Hook", "mmengine._only_here: DATA_BATCH"),
    "mmengine.hooks.iter_timer_hook": ("engine_runner.hooks: IterTimerHook",),
    "mmengine.hooks.logger_hook": ("engine_runner.hooks: LoggerHook",),
    "mmengine.hooks.naive_visualization_hook": ("engine_runner.hooks: NaiveVisualizationHook",),
    "mmengine.hooks.param_scheduler_hook": ("engine_runner.hooks: ParamSchedulerHook",),
    "mmengine.hooks.profiler_hook": ("engine_runner.hooks: NPUProfilerHook ProfilerHook",),
    "mmengine.hooks.runtime_info_hook": ("engine_runner.hooks: RuntimeInfoHook",),
    "mmengine.hooks.sampler_seed_hook": ("engine_runner.hooks: DistSamplerSeedHook",),
    "mmengine.hooks.sync_buffer_hook": ("engine_runner.hooks: SyncBuffersHook",),
    "mmengine.hooks.test_time_aug_hook": ("engine_runner.hooks: PrepareTTAHook",),
    "mmengine.hub": ("mmengine.hub.hub",),
    "mmengine.hub.hub": ("engine_runner.hub: get_config get_model",),
    "mmengine.infer": ("engine_runner.infer: BaseInferencer",),
    "mmengine.infer.infer": (
        "engine_runner: ConfigType",
        "engine_runner.infer: BaseInferencer ImgType InferencerMeta InputType InputsType "
        "ModelType ResType",
    ),
    "mmengine.logging": ("mmengine.logging.logger", "engine_logging: HistoryBuffer MessageHub"),
    "mmengine.logging.history_buffer": ("engine_logging: HistoryBuffer",),
    "mmengine.logging.logger": ("engine_logging: MMLogger print_log",),
    "mmengine.logging.message_hub": ("engine_logging: MessageHub",),
    "mmengine.model": (
        "mmengine.model.averaged_model mmengine.model.base_model mmengine.model.base_module "
        "mmengine.model.utils mmengine.model.wrappers",
        "engine_model: BaseInit BaseTTAModel Caffe2XavierInit ConstantInit KaimingInit "
        "NormalInit PretrainedInit TruncNormalInit UniformInit XavierInit bias_init_with_prob "
        "caffe2_xavier_init constant_init initialize kaiming_init normal_init trunc_normal_init "
        "uniform_init update_init_info xavier_init",
        "engine_registry: MODELS",
    ),
    "mmengine.model.averaged_model": (
        "engine_model: BaseAveragedModel ExponentialMovingAverage MomentumAnnealingEMA "
        "StochasticWeightAverage",
    ),
    "mmengine.model.base_model": (
        "engine_model: BaseDataPreprocessor BaseModel ImgDataPreprocessor",
    ),
    "mmengine.model.base_model.base_model": ("engine_model: BaseModel",),
    "mmengine.model.base_model.data_preprocessor": (
        "engine_model: BaseDataPreprocessor ImgDataPreprocessor",
    ),
    "mmengine.model.base_module": ("engine_model: BaseModule ModuleDict ModuleList Sequential",),
    "mmengine.model.efficient_conv_bn_eval": ("engine_model: turn_on_efficient_conv_bn_eval",),
    "mmengine.model.test_time_aug": ("engine_model: BaseTTAModel",),
    "mmengine.model.utils": (
        "engine_model: convert_sync_batchnorm detect_anomalous_params merge_dict "
        "revert_sync_batchnorm stack_batch",
    ),
    "mmengine.model.weight_init": (
        "engine_model: BaseInit Caffe2XavierInit ConstantInit KaimingInit NormalInit "
        "PretrainedInit TruncNormalInit UniformInit XavierInit bias_init_with_prob "
        "caffe2_xavier_init constant_init initialize kaiming_init normal_init trunc_normal_ "
        "trunc_normal_init uniform_init update_init_info xavier_init",
    ),
    "mmengine.model.wrappers": (
        "engine_model: MMDistributedDataParallel MMFullyShardedDataParallel "
        "MMSeparateDistributedDataParallel is_model_wrapper",
    ),
    "mmengine.model.wrappers.distributed": ("engine_model: MMDistributedDataParallel",),
    "mmengine.model.wrappers.fully_sharded_distributed": (
        "engine_model: MMFullyShardedDataParallel",
    ),
    "mmengine.model.wrappers.separate_distributed": (
        "engine_model: MMSeparateDistributedDataParallel",
    ),
    "mmengine.model.wrappers.seperate_distributed": (
        "engine_model: MMSeparateDistributedDataParallel",
    ),
    "mmengine.model.wrappers.utils": ("engine_model: is_model_wrapper",),
    "mmengine.optim": ("mmengine.optim.optimizer mmengine.optim.scheduler",),
    "mmengine.optim.optimizer": (
        "engine_optim: AmpOptimWrapper ApexOptimWrapper BaseOptimWrapper "
        "DefaultOptimWrapperConstructor OPTIMIZERS OPTIM_WRAPPER_CONSTRUCTORS OptimWrapper "
        "OptimWrapperDict ZeroRedundancyOptimizer build_optim_wrapper",
    ),
    "mmengine.optim.optimizer.amp_optimizer_wrapper": ("engine_optim: AmpOptimWrapper",),
    "mmengine.optim.optimizer.apex_optimizer_wrapper": ("engine_optim: ApexOptimWrapper",),
    "mmengine.optim.optimizer.base": ("engine_optim: BaseOptimWrapper",),
    "mmengine.optim.optimizer.builder": (
        "engine_optim: OPTIMIZERS OPTIM_WRAPPER_CONSTRUCTORS TORCH_OPTIMIZERS build_optim_wrapper",
    ),
    "mmengine.optim.optimizer.default_constructor": (
        "engine_optim: DefaultOptimWrapperConstructor",
    ),
    "mmengine.optim.optimizer.optimizer_wrapper": ("engine_optim: OptimWrapper",),
    "mmengine.optim.optimizer.optimizer_wrapper_dict": ("engine_optim: OptimWrapperDict",),
    "mmengine.optim.optimizer.zero_optimizer": ("engine_optim: ZeroRedundancyOptimizer",),
    "mmengine.optim.scheduler": (
        "engine_optim: ConstantLR ConstantMomentum ConstantParamScheduler CosineAnnealingLR "
        "CosineAnnealingMomentum CosineAnnealingParamScheduler CosineRestartLR "
        "CosineRestartMomentum CosineRestartParamScheduler ExponentialLR ExponentialMomentum "
        "ExponentialParamScheduler LinearLR LinearMomentum LinearParamScheduler MultiStepLR "
        "MultiStepMomentum MultiStepParamScheduler OneCycleLR OneCycleParamScheduler PolyLR "
        "PolyMomentum PolyParamScheduler ReduceOnPlateauLR ReduceOnPlateauMomentum "
        "ReduceOnPlateauParamScheduler StepLR StepMomentum StepParamScheduler _ParamScheduler",
    ),
    "mmengine.optim.scheduler.lr_scheduler": (
        "engine_optim: ConstantLR CosineAnnealingLR CosineRestartLR ExponentialLR "
        "LRSchedulerMixin LinearLR MultiStepLR OneCycleLR PolyLR ReduceOnPlateauLR StepLR",
    ),
    "mmengine.optim.scheduler.momentum_scheduler": (
        "engine_optim: ConstantMomentum CosineAnnealingMomentum CosineRestartMomentum "
        "ExponentialMomentum LinearMomentum MomentumSchedulerMixin MultiStepMomentum "
        "PolyMomentum ReduceOnPlateauMomentum StepMomentum",
    ),
    "mmengine.optim.scheduler.param_scheduler": (
        "engine_optim: ConstantParamScheduler CosineAnnealingParamScheduler "
        "CosineRestartParamScheduler ExponentialParamScheduler INF LinearParamScheduler "
        "MultiStepParamScheduler OneCycleParamScheduler OptimizerType=Schedulable "
        "PolyParamScheduler ReduceOnPlateauParamScheduler StepParamScheduler _ParamScheduler",
    ),
    "mmengine.registry": (
        "mmengine.registry.build_functions mmengine.registry.root mmengine.registry.utils",
        "engine_registry: DefaultScope Registry",
    ),
    "mmengine.registry.build_functions": (
        "engine_registry: build_from_cfg build_model_from_cfg build_runner_from_cfg "
        "build_scheduler_from_cfg",
    ),
    "mmengine.registry.default_scope": ("engine_registry: DefaultScope",),
    "mmengine.registry.registry": ("engine_registry: Registry",),
    "mmengine.registry.root": (
        "engine_registry: DATASETS DATA_SAMPLERS EVALUATOR FUNCTIONS HOOKS INFERENCERS "
        "LOG_PROCESSORS LOOPS METRICS MODELS MODEL_WRAPPERS OPTIMIZERS OPTIM_WRAPPERS "
        "OPTIM_WRAPPER_CONSTRUCTORS PARAM_SCHEDULERS RUNNERS RUNNER_CONSTRUCTORS STRATEGIES "
        "TASK_UTILS TRANSFORMS VISBACKENDS VISUALIZERS WEIGHT_INITIALIZERS",
    ),
    "mmengine.registry.utils": (
        "engine_registry: count_registered_modules init_default_scope traverse_registry_tree",
    ),
    "mmengine.runner": (
        "mmengine.runner.priority",
        "engine_runner: BaseLoop CheckpointLoader EpochBasedTrainLoop FlexibleRunner "
        "IterBasedTrainLoop LogProcessor Runner TestLoop ValLoop autocast "
        "find_latest_checkpoint get_deprecated_model_names get_external_models get_mmcls_models "
        "get_state_dict get_torchvision_models load_checkpoint load_state_dict save_checkpoint "
        "set_random_seed turn_on_activation_checkpointing weights_to_cpu",
    ),
    "mmengine.runner._flexible_runner": ("engine_runner: FlexibleRunner",),
    "mmengine.runner.activation_checkpointing": (
        "engine_runner: turn_on_activation_checkpointing",
    ),
    "mmengine.runner.amp": ("engine_runner: autocast",),
    "mmengine.runner.base_loop": ("engine_runner: BaseLoop",),
    "mmengine.runner.checkpoint": (
        "engine_model.weights: _load_checkpoint _load_checkpoint_to_model "
        "_load_checkpoint_with_prefix",
        "engine_runner: CheckpointLoader find_latest_checkpoint get_deprecated_model_names "
        "get_external_models get_mmcls_models get_state_dict get_torchvision_models "
        "load_checkpoint load_state_dict save_checkpoint weights_to_cpu",
    ),
    "mmengine.runner.log_processor": ("engine_runner: LogProcessor",),
    "mmengine.runner.loops": (
        "engine_runner: BaseLoop EpochBasedTrainLoop IterBasedTrainLoop TestLoop ValLoop "
        "_InfiniteDataloaderIterator",
    ),
    "mmengine.runner.priority": ("engine_runner: Priority get_priority",),
    "mmengine.runner.runner": ("engine_runner: ConfigType Runner",),
    "mmengine.runner.utils": ("engine_runner: calc_dynamic_intervals set_random_seed",),
    "mmengine.structures": ("engine_structures: BaseDataElement InstanceData LabelData PixelData",),
    "mmengine.structures.base_data_element": ("engine_structures: BaseDataElement",),
    "mmengine.structures.instance_data": ("engine_structures: InstanceData",),
    "mmengine.structures.label_data": ("engine_structures: LabelData",),
    "mmengine.structures.pixel_data": ("engine_structures: PixelData",),
    "mmengine.testing": ("mmengine.testing.compare", "engine_runner.testing: RunnerTestCase"),
    "mmengine.testing.compare": (
        "engine_runner.testing: assert_allclose assert_attrs_equal assert_dict_contains_subset "
        "assert_dict_has_keys assert_is_norm_layer assert_keys_equal assert_params_all_zeros "
        "check_python_script",
    ),
    "mmengine.testing.runner_test_case": ("engine_runner.testing: RunnerTestCase",),
    "mmengine.utils": (
        "mmengine.utils.manager mmengine.utils.misc mmengine.utils.path mmengine.utils.timer "
        "mmengine.utils.version_utils",
        "engine_utils: ProgressBar call_command get_installed_path install_package is_installed "
        "track_iter_progress track_parallel_progress track_progress track_progress_rich",
    ),
    "mmengine.utils.dl_utils": (
        "mmengine.utils.dl_utils.misc",
        "engine_utils.dl_utils: TORCH_VERSION TimeCounter collect_env is_jit_tracing load_url "
        "set_multi_processing torch_meshgrid",
    ),
    "mmengine.utils.dl_utils.collect_env": ("engine_utils.dl_utils: collect_env",),
    "mmengine.utils.dl_utils.hub": ("engine_utils.dl_utils: load_url",),
    "mmengine.utils.dl_utils.misc": (
        "engine_utils.dl_utils: has_batch_norm is_norm tensor2imgs",
        "mmengine._only_here: mmcv_full_available",
    ),
    "mmengine.utils.dl_utils.parrots_wrapper": (
        "engine_utils.dl_utils: TORCH_VERSION",
        "mmengine._only_here: is_rocm_pytorch",
        "torch.__config__: get_build_config=show",
        "torch.nn: SyncBatchNorm",
        "torch.nn.modules.batchnorm: _BatchNorm",
        # Today's transposed convolutions are instances of `_ConvTransposeNd` alone.
        "torch.nn.modules.conv: _ConvNd _ConvTransposeMixin=_ConvTransposeNd",
        "torch.nn.modules.instancenorm: _InstanceNorm",
        "torch.nn.modules.pooling: _AdaptiveAvgPoolNd _AdaptiveMaxPoolNd _AvgPoolNd _MaxPoolNd",
        "torch.utils.cpp_extension: BuildExtension CUDAExtension CUDA_HOME CppExtension",
        "torch.utils.data: DataLoader PoolDataLoader=DataLoader",
    ),
    "mmengine.utils.dl_utils.setup_env": ("engine_utils.dl_utils: set_multi_processing",),
    "mmengine.utils.dl_utils.time_counter": ("engine_utils.dl_utils: TimeCounter",),
    "mmengine.utils.dl_utils.torch_ops": ("engine_utils.dl_utils: torch_meshgrid",),
    "mmengine.utils.dl_utils.trace": ("engine_utils.dl_utils: is_jit_tracing",),
    "mmengine.utils.manager": ("engine_utils: ManagerMeta ManagerMixin",),
    "mmengine.utils.misc": (
        "engine_utils: apply_to check_prerequisites concat_list deprecated_api_warning "
        "deprecated_function get_object_from_string has_method import_modules_from_strings "
        "is_list_of is_method_overridden is_seq_of is_str is_tuple_of iter_cast list_cast "
        "requires_executable requires_package slice_list to_1tuple to_2tuple to_3tuple "
        "to_4tuple to_ntuple tuple_cast",
    ),
    "mmengine.utils.package_utils": (
        "engine_utils: call_command get_installed_path install_package is_installed package2module",
    ),
    "mmengine.utils.path": (
        "engine_utils: check_file_exist fopen is_abs is_filepath mkdir_or_exist scandir symlink",
    ),
    "mmengine.utils.progressbar": (
        "engine_utils: ProgressBar track_iter_progress track_parallel_progress track_progress",
        "mmengine._only_here: init_pool",
    ),
    "mmengine.utils.progressbar_rich": ("engine_utils: track_progress_rich",),
    "mmengine.utils.timer": ("engine_utils: Timer TimerError check_time",),
    "mmengine.utils.version_utils": ("engine_utils: digit_version get_git_hash",),
    "mmengine.version": (
        "mmengine: __version__ version_info",
        "mmengine._only_here: parse_version_info",
    ),
    "mmengine.visualization": (
        "engine_visualization: AimVisBackend BaseVisBackend ClearMLVisBackend DVCLiveVisBackend "
        "LocalVisBackend MLflowVisBackend NeptuneVisBackend TensorboardVisBackend Visualizer "
        "WandbVisBackend",
    ),
    "mmengine.visualization.utils": (
        "engine_visualization.drawing: check_type check_type_and_length color_str2rgb "
        "color_val_matplotlib img_from_canvas tensor2ndarray value2list wait_continue",
    ),
    "mmengine.visualization.vis_backend": (
        "engine_visualization: AimVisBackend BaseVisBackend ClearMLVisBackend DVCLiveVisBackend "
        "LocalVisBackend MLflowVisBackend NeptuneVisBackend TensorboardVisBackend "
        "WandbVisBackend",
        "engine_visualization.backends: force_init_env",
    ),
    "mmengine.visualization.visualizer": ("engine_visualization: Visualizer",),
}
