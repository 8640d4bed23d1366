"""The door into a function's own interpreter, run by its path: `PYTHON -X utf8 .../begin.py describe [UID] | host FD`.

That interpreter need not have tsched. Its package is put into sys.modules from where this file lies, and sys.path stays
as it was, so that of what else is installed beside tsched nothing is seen. A process that multiprocessing starts from
here runs this file too, as __mp_main__, and then has the package as well.

Nothing here may be newer than Python 2, or an old interpreter would call it a syntax error instead of being refused.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whatever the user's configuration names runs this
    sys.exit(
        "tsched: functions need Python 3.11 or newer, and %s is %d.%d"  # noqa: UP031 - see above
        % ((sys.executable,) + sys.version_info[:2])  # noqa: RUF005
    )
if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # this folder: its modules are nobody's top-level modules

import importlib.util
import os.path

if "tsched" not in sys.modules:
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    spec = importlib.util.spec_from_file_location(
        "tsched", os.path.join(root, "__init__.py"), submodule_search_locations=[root]
    )
    assert spec and spec.loader  # noqa: PT018, S101 - the path ends in .py
    sys.modules["tsched"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["tsched"])

if __name__ == "__main__":
    words, sys.argv[1:] = sys.argv[1:], []
    if words[:1] == ["host"]:
        from tsched.executor import host

        host.main(words[1:])
    elif words[:1] == ["describe"]:
        from tsched.executor import describe

        describe.main(words[1:])
    else:
        sys.exit("tsched: begin.py describe [UID] | begin.py host FD")
