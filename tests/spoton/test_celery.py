"""Which broker tasks are sent to."""

import subprocess
import sys

CODE = """
import threading
import spoton.asgi
from celery import current_app
said = []
thread = threading.Thread(target=lambda: said.append(current_app.main))
thread.start()
thread.join()
print(*said)
"""


def test_pages_send_tasks_to_the_same_broker_from_every_thread():
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["spoton"]
