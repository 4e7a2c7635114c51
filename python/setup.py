"""The parts of the build that pyproject.toml cannot say: the proxy, which CMake builds; the extension,
which may fail to build (the package then works without it); the start-up hook beside the package.

MONGOSLUICE_PROXY=none leaves the proxy out; a folder is one in which CMake has built it already."""

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
NATIVE = Path("native")
HOOK = "mongosluice-offload.pth"
# The proxy's sources: in a source archive within it, in a checkout beside this folder.
PACKED = HERE / "proxy"
SOURCES = PACKED if PACKED.exists() else HERE.parent
SOURCE_PARTS = ("CMakeLists.txt", "config", "include", "src")
PROXY = ("src/main/mongosluice", "src/schema/libmongosluice-validator.so")

PROGRAMS = {"cmake": "cmake", "pkg-config": "pkg-config"}
MODULES = {  # of pkg-config, any of each; what Debian and Ubuntu call it
    ("libevent_core", ): "libevent-dev", ("libevent_openssl", ): "libevent-dev", ("libevent_pthreads", ): "libevent-dev",
    ("mongoc2", "libmongoc-1.0"): "libmongoc-dev", ("bson2", "libbson-1.0"): "libbson-dev", ("openssl >= 3", ): "libssl-dev",
    ("libpcre2-8", ): "libpcre2-dev", ("yaml-0.1", ): "libyaml-dev", ("zlib", ): "zlib1g-dev", ("libzstd", ): "libzstd-dev",
}
HEADERS = {"snappy-c.h": "libsnappy-dev", "uthash.h": "uthash-dev"}


def succeeds(*command: str, given: str = "") -> bool:
    return subprocess.run(command, input=given, text=True, capture_output=True, check=False).returncode == 0


def missing_parts() -> dict[str, str]:
    """What the proxy's build wants and does not find, with Debian's packages."""
    compiler = os.environ.get("CC", "cc").split()
    missing = {name: package for name, package in PROGRAMS.items() if shutil.which(name) is None}
    if shutil.which(compiler[0]) is None:
        return {**missing, f"a C compiler ({compiler[0]})": "build-essential"}
    if "pkg-config" not in missing:
        for names, package in MODULES.items():
            if not any(succeeds("pkg-config", "--exists", name) for name in names):
                missing[" or ".join(names)] = package
    for header, package in HEADERS.items():
        if not succeeds(*compiler, "-E", "-", given=f"#include <{header}>\n"):
            missing[header] = package
    return missing


def cmake(*arguments: str) -> None:
    done = subprocess.run(["cmake", *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}\nmongosluice: the proxy cannot be built: cmake {' '.join(arguments)} failed, as above")


def check_proxy() -> None:
    """Ends the build with a sentence where the proxy cannot be built."""
    given = os.environ.get("MONGOSLUICE_PROXY", "")
    if given:
        for part in PROXY if given != "none" else ():
            if not Path(given, part).exists():
                raise SystemExit(f"mongosluice: MONGOSLUICE_PROXY={given}: there is no {Path(given, part)}")
        return
    if not (SOURCES / "src/main/main.c").exists():
        raise SystemExit("mongosluice: the proxy's sources are neither in this folder nor beside it: install from a "
                         "checkout or from the source archive, or set MONGOSLUICE_PROXY=none to leave the proxy out")
    missing = missing_parts()
    if missing:
        raise SystemExit(f"mongosluice: the proxy cannot be built. Missing: {', '.join(missing)}. On Debian and Ubuntu: "
                         f"apt-get install {' '.join(dict.fromkeys(missing.values()))}. MONGOSLUICE_PROXY=none leaves "
                         "the proxy out and installs the Python part.")


def build_proxy(folder: Path) -> Path:
    """Builds the proxy in a folder, and answers it."""
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    cmake("-S", str(SOURCES), "-B", str(folder), *generator, "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_TESTING=OFF")
    cmake("--build", str(folder), "--target", "mongosluice", "sluice_validator", "--parallel", str(os.cpu_count() or 1))
    return folder


def add_proxy(package: Path, temporary: Path) -> None:
    """The program and the validator into the package."""
    given = os.environ.get("MONGOSLUICE_PROXY", "")
    target = package / "_proxy"
    shutil.rmtree(target, ignore_errors=True)
    if given == "none":
        return
    built = Path(given) if given else build_proxy(temporary.resolve() / "proxy")
    target.mkdir(parents=True)
    for part in PROXY:
        added = target / Path(part).name
        shutil.copy(built / part, added)
        if shutil.which("strip"):
            subprocess.run(["strip", str(added)], capture_output=True, check=False)


class BuildWithProxy(build_ext):
    def run(self) -> None:
        check_proxy()
        super().run()
        package = HERE / "src/mongosluice" if self.inplace else Path(self.build_lib) / "mongosluice"
        add_proxy(package, Path(self.build_temp))


class BuildWithHook(build_py):
    """Puts the .pth file into the root of the wheel, so that it lands in site-packages."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            self.copy_file(HOOK, str(Path(self.build_lib) / HOOK))


class EditableWithHook(editable_wheel):
    """The same for `pip install -e`, whose wheel has no files of the package."""

    def run(self) -> None:
        super().run()
        for wheel in Path(self.dist_dir).glob("mongosluice-*.whl"):
            with zipfile.ZipFile(wheel) as packed:
                files = {info: packed.read(info) for info in packed.infolist()}
            with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as packed:
                packed.write(HOOK, HOOK)
                for info, data in files.items():
                    record = f"{HOOK},,\n".encode() if info.filename.endswith(".dist-info/RECORD") else b""
                    packed.writestr(info, record + data)


class WithProxysSources(sdist):
    """The archive holds all that a wheel is made of."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        for part in SOURCE_PARTS:
            source, target = SOURCES / part, Path(base_dir, "proxy", part)
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copy(source, target)




setup(
    cmdclass={"build_py": BuildWithHook, "build_ext": BuildWithProxy, "editable_wheel": EditableWithHook,
              "sdist": WithProxysSources},
    ext_modules=[
        Extension(
            "mongosluice._native",
            sorted(map(str, NATIVE.glob("*.c"))),
            depends=sorted(map(str, NATIVE.glob("*.h"))),
            extra_compile_args=["-std=c17", "-O3", "-Wall", "-Wextra", "-fvisibility=hidden"],
            optional=True,
        )
    ],
)
