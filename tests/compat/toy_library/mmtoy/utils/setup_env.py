import datetime
import warnings

from mmengine.registry import DefaultScope


def register_all_modules(init_default_scope: bool = True) -> None:
    """Register all modules in mmtoy into the registries.

    Args:
        init_default_scope (bool): Whether initialize the mmtoy default scope.
            If `init_default_scope=True`, the global default scope will be set to `mmtoy`, and all
            registries will build modules from mmtoy's registry node. Defaults to True.
    """
    import mmtoy.apis
    import mmtoy.datasets
    import mmtoy.engine
    import mmtoy.evaluation
    import mmtoy.models
    import mmtoy.visualization  # noqa: F401

    if not init_default_scope:
        return
    never_created = (
        DefaultScope.get_current_instance() is None
        or not DefaultScope.check_instance_created("mmtoy")
    )
    if never_created:
        DefaultScope.get_instance("mmtoy", scope_name="mmtoy")
        return
    current_scope = DefaultScope.get_current_instance()
    if current_scope.scope_name != "mmtoy":
        warnings.warn(
            f'The current default scope "{current_scope.scope_name}" is not "mmtoy", '
            '`register_all_modules` will force the current default scope to be "mmtoy".'
        )
        # avoid name conflict
        new_instance_name = f"mmtoy-{datetime.datetime.now()}"
        DefaultScope.get_instance(new_instance_name, scope_name="mmtoy")
