"""`Config`: the values of a config file and its bases, as a dict with attributes."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from engine_config._dict import ConfigDict
from engine_config._errors import ConfigKeyError
from engine_config._facts import Facts, IfExecuted
from engine_config._given import given_facts
from engine_config._keys import reserved
from engine_config.merge import given_values, merge_given
from engine_config.origin import find_origin, walk_origins
from engine_config.read import import_listed_modules

if TYPE_CHECKING:
    import argparse

    from engine_config.check import Problem, Resolver
    from engine_config.merge._inheritance import Loaded
    from engine_config.merge._merge import Note
    from engine_config.origin._origin import Origin

# Modules that are slow and rarely needed are imported inside of methods, to halve the import time.
_OWN = frozenset(["_cfg_dict", "_facts", "_notes"])


class Config:
    """The values of a config, readable and writable as items and as attributes.

    Args:
        cfg_dict: The values; they are copied. Top-level keys are strings.
        cfg_text: The text that the values were read from, for `text`; by default that of the file.
        filename: The file that the values were read from.
        env_variables: The environment variables that the text uses, and their values.
        format_python_code: Whether `pretty_text` and `dump` break long values into lines.

    Raises:
        ConfigKeyError: A top-level key is reserved.
        TypeError: ``cfg_dict`` is not a mapping.

    Example:
        >>> cfg = Config(dict(optimizer=dict(type="SGD", lr=0.1)))
        >>> cfg.merge_from_dict({"optimizer.lr": 0.01})
        >>> cfg.optimizer.lr
        0.01
        >>> print(cfg.pretty_text, end="")
        optimizer = dict(type='SGD', lr=0.01)
    """

    _cfg_dict: ConfigDict
    _facts: Facts
    _notes: list[Note]

    def __init__(
        self,
        cfg_dict: Mapping[str, Any] | None = None,
        cfg_text: str | None = None,
        filename: str | os.PathLike[str] | None = None,
        env_variables: Mapping[str, str] | None = None,
        format_python_code: bool = True,
    ) -> None:
        values = cfg_dict._cfg_dict if isinstance(cfg_dict, Config) else cfg_dict
        own, notes = given_values({} if values is None else values)
        facts = given_facts(filename, cfg_text, env_variables or {})
        self._fill(own, notes, facts._replace(wrapped=format_python_code))

    def _fill(self, values: ConfigDict, notes: list[Note], facts: Facts) -> None:
        self._cfg_dict, self._notes, self._facts = values, list(notes), facts

    @classmethod
    def _from_loaded(cls, loaded: Loaded, **further: Any) -> Config:
        config = cls.__new__(cls)
        config._fill(loaded.values, loaded.notes, loaded.facts()._replace(**further))
        return config

    @staticmethod
    def fromfile(
        filename: str | os.PathLike[str],
        use_predefined_variables: bool = True,
        import_custom_modules: bool = True,
        use_environment_variables: bool | IfExecuted = IfExecuted.TRUE,
        lazy_import: bool | None = None,
        format_python_code: bool = True,
        *,
        execute: bool = True,
        read_remote_bases: bool | None = None,
        timeout: float = 60.0,
    ) -> Config:
        """Read a config file and its bases.

        Args:
            filename: The path of a ``.py``, ``.json``, ``.yaml`` or ``.yml`` file, on the disk or
                in a storage of engine-fileio (``s3://…``); or ``package::path`` for a config that
                an installed package ships. ``~`` is the home folder, here and in ``_base_``.
            use_predefined_variables: Whether ``{{fileDirname}}``, ``{{fileBasename}}``,
                ``{{fileBasenameNoExtension}}`` and ``{{fileExtname}}`` are replaced.
            import_custom_modules: Whether the modules in ``custom_imports`` are imported.
            use_environment_variables: Whether ``{{$NAME}}`` and ``{{$NAME:default}}`` are replaced.
                If ``execute`` is false, only an argument ``True`` that is given replaces them: a
                config from elsewhere could otherwise read secrets.
            lazy_import: Whether the file is a lazy config, whose imports happen at first use. None
                decides by the file: it is lazy with ``read_base()``, or with an import from outside
                the standard library and no ``_base_``.
            format_python_code: Whether `pretty_text` and `dump` break long values into lines.
            execute: Whether to run a Python file. If False, the file may only assign and
                change literal values, and ``custom_imports`` is skipped.
            read_remote_bases: Whether ``_base_`` may name an address, such as ``https://…``. None
                allows it if ``execute`` is true.
            timeout: Seconds that reading one file at an address may take.

        Raises:
            ConfigError: A file is missing, malformed, or does not fit its bases.
        """
        from engine_config.merge._inheritance import load_file
        from engine_config.merge._locate import given_path
        from engine_config.read._files import Options

        path = given_path(os.fspath(filename))
        options = Options(
            file_variables=use_predefined_variables,
            environment=use_environment_variables,
            lazy=lazy_import,
            execute=execute,
            remote_bases=read_remote_bases,
            timeout=timeout,
        )
        loaded = load_file(path, options)
        config = Config._from_loaded(loaded, filename=path, wrapped=format_python_code)
        if import_custom_modules and execute:
            config.import_custom_modules()
        return config

    def import_custom_modules(self) -> None:
        """Import the modules in ``custom_imports``; for a config that was changed after reading."""
        import_listed_modules(self._cfg_dict, [source.file for source in self._facts.sources])

    @staticmethod
    def fromstring(
        cfg_str: str,
        file_format: str,
        *,
        lazy_import: bool | None = None,
        execute: bool = True,
        use_environment_variables: bool | IfExecuted = IfExecuted.TRUE,
        read_remote_bases: bool | None = None,
    ) -> Config:
        """Read a config from a text; bases are relative to the current folder.

        Args:
            cfg_str: The text.
            file_format: ``.py``, ``.json``, ``.yaml`` or ``.yml``.
            lazy_import: As for `fromfile`.
            execute: As for `fromfile`.
            use_environment_variables: As for `fromfile`.
            read_remote_bases: As for `fromfile`.

        Raises:
            ConfigError: The text is malformed.
            ConfigFormatError: ``file_format`` is not one of these.
        """
        from engine_config.merge._inheritance import load_text
        from engine_config.read._files import Options

        options = Options(
            environment=use_environment_variables,
            lazy=lazy_import,
            execute=execute,
            remote_bases=read_remote_bases,
        )
        loaded = load_text(cfg_str, "<string>", file_format.lower(), options)
        config = Config._from_loaded(loaded)
        if execute:
            config.import_custom_modules()
        return config

    def dump(self, file: str | os.PathLike[str] | None = None) -> str | None:
        """Write the merged config to a file without bases, or return its text.

        A Python file reads back equal. In JSON and YAML, tuples and sets become lists, paths become
        strings, and classes become import paths.

        Args:
            file: The file to write, on the disk or in a storage; its extension is the format. None
                returns the text, in the format of `filename` or else Python.

        Raises:
            ConfigFormatError: The extension is not that of a config.
            ConfigTypeError: A value cannot be written, such as an open file; nothing is written.
        """
        from engine_config.write import dump

        return dump(self._cfg_dict, file, source=self.filename, wrapped=self._facts.wrapped)

    @property
    def filename(self) -> str | None:
        """The path of the config file, as it was passed, but without ``~`` and ``package::``."""
        return self._facts.filename

    @property
    def text(self) -> str:
        """The text of the file. With bases: all texts, bases first, each below its file name."""
        return self._facts.text

    @property
    def env_variables(self) -> dict[str, str]:
        """The environment variables that the texts use, and the values that were read."""
        return dict(self._facts.env_variables)

    @property
    def pretty_text(self) -> str:
        """The merged config as Python text; a value that `dump` rejects is shown shortened."""
        from engine_config.write import python_text

        return python_text(self._cfg_dict, wrapped=self._facts.wrapped)

    def merge_from_dict(
        self, options: Mapping[str, Any], allow_list_keys: bool = True, *, origin: str | None = None
    ) -> None:
        """Merge options, whose keys may be dotted, into the config.

        If one option raises, none is merged.

        Args:
            options: Values by key, such as ``{"model.backbone.depth": 50}``. An index changes an
                element of a list: ``{"pipeline.0.type": "Load"}``. So do the list edits of the
                README, such as ``{"pipeline._remove_": "Flip"}``.
            allow_list_keys: Whether a number as a key is the index of a list element.
            origin: The source that `Config.origin` returns, such as ``--cfg-options``; None for the
                line of the caller.

        Raises:
            ConfigKeyError: A list has no such element, or a key is malformed or reserved.
            ConfigTypeError: A key lies inside of a value that is not a dict or list.
        """
        notes = merge_given(self._cfg_dict, options, list_keys=allow_list_keys, origin=origin)
        self._notes.extend(notes)

    def origin(self, key_path: str) -> Origin:
        """Return the assignment that set a value: its file, line and text.

        Args:
            key_path: A key at any depth, such as ``train_cfg``, ``model.backbone.depth`` or
                ``train_pipeline.2.type``.

        Raises:
            ConfigKeyError: There is no such key; the message suggests the closest one.
        """
        return find_origin(self._cfg_dict, key_path)

    def origins(self) -> Mapping[str, Origin]:
        """Return the origins of all keys and list elements, by key path."""
        return MappingProxyType(dict(walk_origins(self._cfg_dict)))

    def check(
        self,
        resolve: Resolver,
        *,
        root: Callable[..., Any] | None = None,
        raise_error: bool = False,
    ) -> list[Problem]:
        """Return all mistakes that can be found without building anything.

        Each dict inside the config is checked against the signature of the callable that it
        configures. The check finds unknown types, unknown or missing arguments, and literal values
        that do not fit the annotations. It also finds a ``_delete_`` without effect, and options
        with a misspelled key.

        Args:
            resolve: A function that returns the callable that a dict configures; see `Resolver`.
            root: The callable that the whole config configures, such as the Runner. A top-level key
                that is similar to one of its arguments is a mistake, even if that argument is also
                set. Any other key passes.
            raise_error: Whether to raise the problems instead of returning them.

        Raises:
            ConfigCheckError: There are problems, and ``raise_error`` is true.
        """
        from engine_config.check import ConfigCheckError, find_problems

        problems = list(find_problems(self._cfg_dict, self._notes, resolve, root))
        if problems and raise_error:
            raise ConfigCheckError(problems)
        return problems

    def to_dict(self, keep_imported: bool = False) -> dict[str, Any]:
        """Return the values as plain dicts, lists and tuples.

        Args:
            keep_imported: Whether to add the names that a lazy config imports. They stay lazy.
        """
        values = self._cfg_dict.to_dict()
        return {**self._facts.imported, **values} if keep_imported else values

    @staticmethod
    def diff(cfg1: Config | str | os.PathLike[str], cfg2: Config | str | os.PathLike[str]) -> str:
        """Return the unified diff of the texts of two merged configs.

        Args:
            cfg1: A config or the path of one.
            cfg2: Another one.

        Returns:
            The diff; empty if they are equal.
        """
        from engine_config.write import text_diff

        # The modules in `custom_imports` change no text.
        first, second = (
            cfg if isinstance(cfg, Config) else Config.fromfile(cfg, import_custom_modules=False)
            for cfg in (cfg1, cfg2)
        )
        return text_diff(first, second)

    @staticmethod
    def auto_argparser(description: str | None = None) -> tuple[argparse.ArgumentParser, Config]:
        """Return a parser with one option per key of the config that the command line names.

        Args:
            description: The description in the parser's help.

        Returns:
            The parser, and the config. An option that is not given is None, and must be left out
            when ``cfg.merge_from_dict`` applies the options; so must ``config``.
        """
        from engine_config.merge._argparser import named_config, options_parser

        config = Config.fromfile(named_config(description))
        return options_parser(config._cfg_dict, description), config

    def __repr__(self) -> str:
        return f"Config (path: {self.filename}): {self._cfg_dict!r}"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Config):
            return self._cfg_dict == other._cfg_dict
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # a config is mutable

    def __len__(self) -> int:
        return len(self._cfg_dict)

    def __iter__(self) -> Iterator[str]:
        return iter(self._cfg_dict)

    def __contains__(self, key: object) -> bool:
        return key in self._cfg_dict

    def __getattr__(self, name: str) -> Any:
        # copy() and pickle look up attributes before the instance has any. Without this line, the
        # next one would look up `_cfg_dict` and recurse forever.
        if name in _OWN:
            raise AttributeError(name)
        return getattr(self._cfg_dict, name)

    def __getitem__(self, key: str) -> Any:
        return self._cfg_dict[key]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN:
            self.__dict__[name] = value
        elif hasattr(type(self), name):
            raise AttributeError(f"{name!r} is part of Config; a key cannot have this name")
        else:
            self[name] = value

    def __setitem__(self, key: str, value: Any) -> None:
        if reason := reserved(key):
            raise ConfigKeyError(reason, key_path=str(key))
        self._cfg_dict[key] = value

    def __delitem__(self, key: str) -> None:
        del self._cfg_dict[key]

    def __delattr__(self, name: str) -> None:
        delattr(self._cfg_dict, name)

    def __copy__(self) -> Config:
        # As code of the field expects it: the copy shares the values.
        new = type(self).__new__(type(self))
        new._fill(self._cfg_dict, self._notes, self._facts)
        return new

    def copy(self) -> Config:
        """Return a copy with top-level keys of its own. The copy of `copy.copy` shares them."""
        new = copy.copy(self)
        new._cfg_dict = self._cfg_dict.copy()
        return new

    def __deepcopy__(self, memo: dict[int, Any]) -> Config:
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        new._fill(copy.deepcopy(self._cfg_dict, memo), self._notes, self._facts)
        return new
