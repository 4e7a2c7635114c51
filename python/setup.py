"""The parts of the build that pyproject.toml cannot say: the extension, which may fail to build
(the package then works without it), and the start-up hook beside the package."""

from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

NATIVE = Path("native")
HOOK = "mongosluice-offload.pth"


class BuildWithHook(build_py):
    """Puts the .pth file into the root of the wheel, so that it lands in site-packages."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            self.copy_file(HOOK, str(Path(self.build_lib) / HOOK))


setup(
    cmdclass={"build_py": BuildWithHook},
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
