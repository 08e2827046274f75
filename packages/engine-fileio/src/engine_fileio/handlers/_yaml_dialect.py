"""How YAML is read and written here; apart from the handler, since PyYAML is slow to import."""

from typing import Any

import yaml

from engine_fileio.handlers._plain import plain

# libyaml's parser, ten times as fast, where PyYAML was built with it
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SafeDumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class Dumper(_SafeDumper):  # type: ignore[valid-type, misc]  # which of two classes is known at run time
    """Plain YAML, for subclasses of the plain types and numpy values too."""

    def represent_undefined(self, data: Any) -> yaml.Node:
        try:
            value = plain(data)
        except TypeError as error:
            raise yaml.representer.RepresenterError(str(error)) from error
        return self.represent_data(value)  # type: ignore[no-any-return]  # of an untyped base


Dumper.add_representer(None, Dumper.represent_undefined)
Dumper.add_multi_representer(dict, _SafeDumper.represent_dict)
Dumper.add_multi_representer(list, _SafeDumper.represent_list)
Dumper.add_multi_representer(tuple, _SafeDumper.represent_list)
Dumper.add_multi_representer(str, _SafeDumper.represent_str)
Dumper.add_multi_representer(set, _SafeDumper.represent_set)
