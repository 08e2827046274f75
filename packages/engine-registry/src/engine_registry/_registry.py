"""Map names to classes and functions, in a tree of registries."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, overload

from engine_registry._aliases import true_scope, use_scope
from engine_registry._locations import Locations, import_function, import_object
from engine_registry._names import calling_package, checked_string, given_names, own_name
from engine_registry._not_found import not_found
from engine_registry._packages import import_scope, warn_of_failure
from engine_registry._plugins import load_plugins
from engine_registry._scope import DefaultScope
from engine_registry._search import Search, log_found

_Module = TypeVar("_Module", bound=Callable[..., Any])

# A string, because the module of that function imports this one.
_DEFAULT_BUILD = "engine_registry:build_from_cfg"


class Registry:
    """Map names to classes and functions, and build objects from configs.

    Registries form a tree. A child also finds the names of its ancestors. A prefix, as in
    ``"mmdet.ResNet"``, is the scope of another registry in the tree.

    Args:
        name: The kind of object that the registry holds, e.g. ``"model"``.
        build_func: The function that ``build`` calls as ``build_func(cfg, registry, ...)``, or a
            string ``"package.module:function"``, imported at the first build. By default that of
            the parent; for a root `build_from_cfg`.
        parent: The registry that is searched after this one.
        scope: The prefix of this registry. By default the name of the package that creates it.
        locations: Modules to import when a name is not found, e.g. ``["mmdet.models"]``.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: ``scope`` has a dot, or the parent has a child of this scope.

    Example:
        >>> MODELS = Registry("model", scope="shapes")
        >>> @MODELS.register_module()
        ... class Square:
        ...     def __init__(self, side: int) -> None:
        ...         self.side = side
        >>> MODELS.build({"type": "Square", "side": 3}).side
        3
    """

    def __init__(
        self,
        name: str,
        build_func: Callable[..., Any] | str | None = None,
        parent: "Registry | None" = None,
        scope: str | None = None,
        locations: Sequence[str] = [],
    ) -> None:
        self._name = checked_string("name", name)
        self._scope = self.infer_scope() if scope is None else checked_string("scope", scope)
        if "." in self._scope:
            raise ValueError(f"scope must not have a dot, which ends a prefix, got {scope!r}")
        self._module_dict: dict[str, Callable[..., Any]] = {}
        self._children: dict[str, Registry] = {}
        self._locations = Locations(locations)
        if not (build_func is None or isinstance(build_func, str) or callable(build_func)):
            raise TypeError(f"build_func must be a function or a string, got {build_func!r}")
        self._build_func = build_func
        self.parent = parent
        if parent is not None:
            if not isinstance(parent, Registry):
                raise TypeError(f"parent must be a Registry or None, got {type(parent).__name__}")
            parent._add_child(self)
        use_scope(self)

    def _add_child(self, child: "Registry") -> None:
        for known in self._children.values():
            if true_scope(known.scope) == true_scope(child.scope):
                raise ValueError(
                    f'scope must be unique among the children of registry "{self.name}" of scope '
                    f'"{self.scope}", got "{child.scope}" of {known!r}; pass another scope'
                )
        self._children[child.scope] = child

    @property
    def name(self) -> str:
        """The kind of object that the registry holds."""
        return self._name

    @property
    def scope(self) -> str:
        """The prefix that names this registry in its tree."""
        return self._scope

    @property
    def module_dict(self) -> dict[str, Callable[..., Any]]:
        """The classes and functions of this registry by name, without those of its ancestors."""
        return self._module_dict

    @property
    def children(self) -> dict[str, "Registry"]:
        """The registries that have this one as parent, by scope."""
        return self._children

    @property
    def root(self) -> "Registry":
        """The registry at the top of the tree."""
        node = self
        while node.parent is not None:
            node = node.parent
        return node

    @property
    def build_func(self) -> Callable[..., Any]:
        """The build function of this registry, or of the parent if this one has none."""
        if isinstance(self._build_func, str):
            self._build_func = import_function(self._build_func)
        elif self._build_func is None:
            if self.parent is not None:
                return self.parent.build_func
            self._build_func = import_function(_DEFAULT_BUILD)
        return self._build_func

    def __len__(self) -> int:
        return len(self._module_dict)

    def __bool__(self) -> bool:
        # An empty registry is true, so that `registry or DEFAULT` keeps it.
        return True

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def __repr__(self) -> str:
        return f"<Registry {self.name!r} of scope {self.scope!r}, {len(self)} registered>"

    @staticmethod
    def infer_scope() -> str:
        """Return the name of the top-level package that calls this package."""
        return calling_package()

    @staticmethod
    def split_scope_key(key: str) -> tuple[str | None, str]:
        """Split ``"scope.name"`` at the first dot; the scope is None if there is no dot.

        Example:
            >>> Registry.split_scope_key("mmdet.ResNet")
            ('mmdet', 'ResNet')
            >>> Registry.split_scope_key("ResNet")
            (None, 'ResNet')
        """
        scope, dot, name = key.partition(".")
        return (scope, name) if dot else (None, key)

    def get(self, key: str) -> Callable[..., Any] | None:
        """Return the class or function of that name.

        A name without a prefix is looked up here, then in the ancestors. With the prefix of this
        scope (``"scope.Name"`` or ``"scope::Name"``) it is looked up only here. With another prefix
        it is looked up in the registry of that scope, anywhere in the tree. The package of an
        unknown scope is imported, with its module ``registry``. Any other dotted path is imported.
        A registry imports its locations if it does not hold the name.

        Returns:
            The class or function; the module, for the dotted path of one; None if nothing has that
            name.

        Raises:
            LocationImportError: Nothing has that name, and a location failed to import.
        """
        if not isinstance(key, str):
            raise TypeError(f"the key of a registry must be a string, got {type(key).__name__}")
        found = self.find_loaded(key)
        if found is None:
            search = Search()
            found = self.find(key, search)
            if found is None and search.failed:
                raise not_found(key, self, search)
        log_found(self, found)
        return found

    def find_loaded(self, key: str) -> Callable[..., Any] | None:
        """Return the entry of that name if no import can change the result, else None."""
        # The fast path of every build: it imports nothing and allocates no record of the search.
        if "." in key:
            scope, _, name = key.partition(".")
            home = self.find_scope(scope)
            return home._module_dict.get(name) if home is not None else None
        node: Registry | None = self
        while node is not None:
            found = node._module_dict.get(key)
            if found is not None:
                return found
            if node._locations.pending:
                # A pending location may define the name, and has priority over the ancestors.
                return None
            node = node.parent
        return None

    def find(self, key: str, search: Search) -> Callable[..., Any] | None:
        """Return the class or function of that name, or None; record the search."""
        # A registered name may contain dots.
        found = self._module_dict.get(key)
        if found is not None:
            return found
        key = key.replace("::", ".", 1)
        scope, name = self.split_scope_key(key)
        if scope is None:
            return self._find_upwards(key, search)
        found = self._find_in_scope(scope, name, search)
        if found is None and self.find_scope(scope) is None:
            # The import of the package may create the registry of that scope.
            import_scope(true_scope(scope), search, again=True)
            found = self._find_in_scope(scope, name, search)
        return import_object(key, search) if found is None else found

    def _find_upwards(self, key: str, search: Search) -> Callable[..., Any] | None:
        node: Registry | None = self
        while node is not None:
            found = node._find_here(key, search)
            if found is not None:
                return found
            node = node.parent
        return None

    def _find_here(self, key: str, search: Search) -> Callable[..., Any] | None:
        found = self._module_dict.get(key)
        # A look-up may reach a registry twice. Its locations are imported the first time only.
        if found is None and self not in search.searched:
            search.searched.append(self)
            self._locations.load(search)
            found = self._module_dict.get(key)
            if found is None and self.parent is None:
                load_plugins(self.name, key, self._module_dict, search)
                found = self._module_dict.get(key)
        return found

    def _find_in_scope(self, scope: str, name: str, search: Search) -> Callable[..., Any] | None:
        if true_scope(scope) == true_scope(self._scope):
            return self._find_here(name, search)
        node = self.find_scope(scope)
        if node is None:
            return None
        # A prefix of several scopes, as in "alpha.plugin.Square", names a path down the tree.
        inner_scope, inner_name = self.split_scope_key(name)
        if inner_scope is not None and inner_scope in node.children:
            return node._find_in_scope(inner_scope, inner_name, search)
        return node._find_upwards(name, search)

    def find_scope(self, scope: str) -> "Registry | None":
        """Return the registry of that scope: this one, the nearest below it, or any in the tree."""
        scope = true_scope(scope)
        # Below this one first: two branches of a tree may have a scope of the same name.
        return self._below(scope) or self.root._below(scope)

    def _below(self, scope: str) -> "Registry | None":
        if scope == true_scope(self._scope):
            return self
        if scope in self._children:
            return self._children[scope]
        for child in list(self._children.values()):  # a list: other threads import libraries
            found = child._below(scope)
            if found is not None:
                return found
        return None

    def import_from_location(self) -> None:
        """Import the pending locations of this registry.

        A location that is not installed or fails to import is skipped. The error of a later failed
        look-up lists it.
        """
        self._locations.load(Search())

    def load_all(self, search: Search) -> None:
        """Import all locations and plugins of this registry, and record the outcome."""
        self._locations.load(search)
        if self.parent is None:
            load_plugins(self.name, None, self._module_dict, search)

    @contextmanager
    def switch_scope_and_registry(self, scope: str | None) -> "Iterator[Registry]":
        """Set the default scope inside a ``with`` block, and yield its registry.

        Args:
            scope: The new default scope; None keeps the current one.

        Yields:
            The registry of the default scope in this tree, or this registry if the tree has none.
        """
        with DefaultScope.overwrite_default_scope(scope):
            yield self.in_default_scope()

    def in_default_scope(self) -> "Registry":
        """Return the registry of the default scope in this tree, else this registry.

        If the tree has no such scope, the package of that name is imported first.
        """
        current = DefaultScope.get_current_instance()
        if current is None or current.scope_name == self._scope:
            return self
        found = self.find_scope(current.scope_name)
        if found is None:
            scope = true_scope(current.scope_name)
            import_scope(scope, Search())
            warn_of_failure(scope)
            found = self.find_scope(scope)
        return found or self

    def build(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """Build an object from a config with the build function of this registry.

        Args:
            cfg: A mapping with the key ``type``; it is not changed.
            *args: Passed to the build function, after the config and the registry.
            **kwargs: Passed to the build function.

        Returns:
            The result of the build function: usually an instance of the class that ``type`` names.
        """
        # By keyword where possible: a user's build function may have `registry` at any position.
        if args:
            return self.build_func(cfg, self, *args, **kwargs)
        return self.build_func(cfg, registry=self, **kwargs)

    @overload
    def register_module(
        self, name: str | Sequence[str] | None = None, force: bool = False, *, module: _Module
    ) -> _Module: ...
    @overload
    def register_module(
        self, name: str | Sequence[str] | None, force: bool, module: _Module
    ) -> _Module: ...
    @overload
    def register_module(
        self, name: str | Sequence[str] | None = None, force: bool = False, module: None = None
    ) -> Callable[[_Module], _Module]: ...

    def register_module(
        self,
        name: str | Sequence[str] | None = None,
        force: bool = False,
        module: _Module | None = None,
    ) -> _Module | Callable[[_Module], _Module]:
        """Register a class or function; use it as a decorator or as a call.

        Args:
            name: The name, or several; by default the ``__name__`` of the class or function.
            force: Replace an existing entry of the same name.
            module: The class or function to register; None to return a decorator.

        Raises:
            KeyError: A name is taken, and ``force`` is False.
            TypeError: An argument is of the wrong type.
        """
        names = given_names(name)
        if not isinstance(force, bool):
            raise TypeError(f"force must be True or False, got {force!r}")
        if module is not None:
            self._register_module(module, names, force)
            return module

        def register(decorated: _Module) -> _Module:
            self._register_module(decorated, names, force)
            return decorated

        return register

    def _register_module(
        self,
        module: Callable[..., Any],
        module_name: str | Sequence[str] | None = None,
        force: bool = False,
    ) -> None:
        """Register a class or function; libraries call and override this method."""
        if not callable(module):
            raise TypeError(
                f'registry "{self.name}" holds classes and functions, got {type(module).__name__}'
            )
        names = given_names(module_name) or [own_name(module)]
        # Check all names before setting the first one: an error must leave the registry unchanged.
        for name in names:
            if not force and name in self._module_dict:
                place = getattr(self._module_dict[name], "__module__", "an unknown place")
                raise KeyError(
                    f"{name} is already registered in {self.name} at {place}; "
                    "choose another name, or replace it with force=True"
                )
        self._module_dict.update(dict.fromkeys(names, module))
