"""A child process whose output is read while it runs. It is ended by its id, and every wait has a time limit."""

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

PATIENCE = float(os.environ.get("SLUICE_TEST_PATIENCE", "60"))


class NotInTime(AssertionError):
    pass


def eventually(condition, what, seconds=PATIENCE):
    """Returns the first true value of `condition`, polled for at most `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise NotInTime(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Process:
    def __init__(self, argv, env=None, cwd=None):
        self.argv = [str(word) for word in argv]
        self.stdout = []
        self.stderr = []
        self._news = threading.Condition()
        self._child = subprocess.Popen(
            self.argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._readers = [
            threading.Thread(target=self._read, args=(pipe, lines), daemon=True)
            for pipe, lines in ((self._child.stdout, self.stdout),
                                (self._child.stderr, self.stderr))]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self):
        return self._child.pid

    def _read(self, pipe, lines):
        for line in pipe:
            with self._news:
                lines.append(line.decode("utf-8", "backslashreplace").rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_for_line(self, find, what, seconds=PATIENCE):
        """Returns the first true value of find(line) over all lines of standard output, past and future."""
        end = time.monotonic() + seconds
        seen = 0
        with self._news:
            while True:
                while seen < len(self.stdout):
                    value = find(self.stdout[seen])
                    seen += 1
                    if value:
                        return value
                left = end - time.monotonic()
                if left <= 0 or (self.exit_code() is not None and not self._reading()):
                    raise NotInTime(f"{what}: not seen (exit code {self.exit_code()})\n"
                                    + self.output())
                self._news.wait(min(left, 0.2))

    def _reading(self):
        return any(reader.is_alive() for reader in self._readers)

    def output(self):
        return "\n".join([" ".join(self.argv), "--- standard output", *self.stdout[-60:],
                          "--- standard error", *self.stderr[-60:]])

    def exit_code(self):
        return self._child.poll()

    def send(self, signal_number):
        self._child.send_signal(signal_number)

    def halt(self):
        """Stops it, as SIGSTOP does, until SIGCONT. Returns when none of its threads runs any more."""
        self.send(signal.SIGSTOP)

        def stopped():
            stats = [task.joinpath("stat").read_text() for task in Path(f"/proc/{self.pid}/task").iterdir()]
            return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)
        eventually(stopped, "all threads have stopped")

    def wait(self, seconds=PATIENCE):
        try:
            code = self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise NotInTime(f"process {self.pid} did not end\n" + self.output()
                            + "\n--- threads\n" + self._stacks()) from None
        for reader in self._readers:
            reader.join(seconds)
        return code

    def _stacks(self):
        """Returns the stack of each thread, if a debugger is installed."""
        if shutil.which("gdb") is None:
            return "(gdb is not installed)"
        asked = subprocess.run(["gdb", "-p", str(self.pid), "-batch", "-ex",
                                "thread apply all bt 12"], capture_output=True, text=True,
                               timeout=60, check=False)
        return "\n".join(line for line in asked.stdout.splitlines()
                         if line.startswith(("Thread", "#")))

    def kill(self):
        if self.exit_code() is None:
            self.send(signal.SIGKILL)
            self.wait()

    def stop(self, seconds=PATIENCE):
        """Sends TERM, and KILL if the process does not end in time. Returns the exit code."""
        if self.exit_code() is None:
            self.send(signal.SIGTERM)
            try:
                return self.wait(seconds)
            except NotInTime:
                self.kill()
        return self.wait()
