import subprocess
import sys
import tomllib

from audit.dashboard import serving
from audit.dashboard.serving import MAIN


def test_the_server_is_local_and_reports_nothing(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: asked.append(command) or done)
    done = subprocess.CompletedProcess([], 0)
    assert serving.serve(tmp_path, port=8599) == 0
    command = " ".join(asked[0])
    assert asked[0][:5] == [sys.executable, "-m", "streamlit", "run", str(MAIN)]
    assert "--server.address localhost" in command
    assert "--browser.gatherUsageStats false" in command
    assert asked[0][-2:] == ["--", str(tmp_path.resolve())]


def test_the_repositorys_settings_say_the_same():
    settings = tomllib.loads((MAIN.parents[2] / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["address"] == "localhost"
    assert settings["browser"]["gatherUsageStats"] is False


def test_importing_the_dashboard_starts_nothing_and_loads_no_heavy_library():
    code = (
        "import sys, audit.dashboard, audit.dashboard.charts, audit.dashboard.views.attacks as page\n"
        "print({'streamlit', 'altair', 'pandas', 'matplotlib', 'torch'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "set()"
