"""The same hand-ins give the same table, whatever is in them: three times."""

import test_check as quick
from tiny_chapter import RIGHT

checked, hand_in, tiny = quick.checked, quick.hand_in, quick.tiny
ENDS = "import os, threading, signal, subprocess as s, asyncio, _thread\n"
FLOOD = "def flood():\n    while True: display('x' * 1000)\nthreading.Thread(target=flood).start()"
MORE = quick.LATER | {
    "quit": ("quit()", "error"),
    "timer of 2 s": (ENDS + "threading.Timer(2, os._exit, [0]).start()", "crashed"),
    "alarm": (ENDS + "signal.alarm(1)", "crashed"),
    "child": (ENDS + "s.Popen(f'sleep 1; kill {os.getpid()}', shell=True)", "crashed"),
    "loop": (ENDS + "asyncio.get_event_loop().call_later(1, os._exit, 0)", "crashed"),
    "interrupt": (ENDS + "threading.Timer(1, _thread.interrupt_main).start()", "passed"),
    "flood": (ENDS + FLOOD, "passed"),
    "endless": ("while True: pass", "timeout"),
    "reset": ("%reset -f", "passed"),
    "sockets": ("get_ipython().kernel.shell_stream.close()", "timeout"),
    "address": ("raise ValueError({'a', 'b'}, object())", "error"),
}


def test_the_same_hand_ins_give_the_same_table(hand_in, checked):
    for name, (code, _) in MORE.items():
        hand_in(RIGHT | {"ex-tiny-1": f"{code}\ntotal = 6"}, f"{name}_07_tiny.ipynb")
    for name, answers in quick.ANSWERS.items():
        code = {f"ex-tiny-{number}": answer for number, answer, _, _ in answers}
        hand_in(RIGHT | code, f"{name}/07_tiny.ipynb")
    for name in [name for names in quick.NAMES.values() for name in names]:
        hand_in(RIGHT, f"{name}.ipynb", quick.only_answers)
    tables = [[row | {"seconds": ""} for row in checked(10, late=4)] for _ in range(3)]
    assert tables[0] == tables[1] == tables[2]
    for name, (_, became) in MORE.items():
        assert quick.results(tables[0], name) == quick.ALL_PASS | {"ex-tiny-1": became}
