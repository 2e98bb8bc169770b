"""The window. It shows what the rules hold, and gives them what is typed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Protocol

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.css.query import NoMatches
from textual.events import Key, Resize
from textual.widgets import Footer, Input, RichLog, Static

from samples.chat import io
from samples.chat.chat import Chat
from samples.chat.commands import VERBS
from samples.chat.editing import History, completed
from samples.chat.limits import LIMITS, TEXT, ChatLimits
from samples.chat.view import line_text, side_text, status_text, words

ROWS: Final = 4000  # of one conversation, when its lines are long
REDRAW: Final = 0.05  # seconds between two drawings: what comes meanwhile is drawn at once


class Carries(Protocol):
    """What carries out the rules' outputs and tells them what happens."""

    chat: Chat

    def watch(self, changed: Callable[[], None]) -> None:
        """Have this called whenever something may have changed."""

    def feed(self, input: io.Input) -> None:
        """Give the rules an input, and carry out what follows."""

    async def run(self) -> None:
        """Work until the messenger was closed."""


class Log(RichLog):
    """Rows of one conversation. It follows what comes as long as the user has not scrolled up, and finds each conversation
    where it was left."""

    follows = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._left: dict[str, float] = {}

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """A way up that no shorter text explains is the user's."""
        super().watch_scroll_y(old_value, new_value)
        if new_value >= self.max_scroll_y:
            self.follows = True
        elif new_value < old_value <= self.max_scroll_y:
            self.follows = False

    def append(self, texts: Sequence[Text]) -> None:
        """Write them below the others."""
        for text in texts:
            self.write(text, scroll_end=self.follows)

    def show(self, before: str, after: str, texts: Sequence[Text]) -> None:
        """Write the conversation ``after`` where ``before`` was."""
        self._left.pop(before, None)
        if not self.follows:
            self._left[before] = self.scroll_y
        left = self._left.get(after)
        self.clear()
        self.follows = left is None
        self.append(texts)
        if left is not None:
            self.follows = False
            self.call_after_refresh(self.scroll_to, y=left, animate=False)


class Entry(Input):
    """The input line. It takes these keys of the window too, so that each is taken after what was typed before it: a line goes to
    the conversation in which it was written."""

    def __init__(self, keys: Mapping[str, str], entered: Callable[[str], None]) -> None:
        super().__init__(id="input", placeholder="text, or /help", max_length=TEXT + 64, compact=True)
        self._keys = keys
        self._entered = entered

    async def _on_key(self, event: Key) -> None:
        if event.key == "enter":
            line = self.value
            self.clear()
            self._entered(line)
        elif event.key in self._keys:
            await self.app.run_action(self._keys[event.key])
        else:
            return
        event.stop()
        event.prevent_default()


class Messenger(App[None]):
    """One window on one messenger. It ends when the messenger was closed."""

    ENABLE_COMMAND_PALETTE = False
    TITLE = "Cicada messenger"
    CSS = """
    #log { width: 1fr; height: 1fr; scrollbar-size-vertical: 1; padding: 0 1; background: $background;
        scrollbar-background: $background; }
    #panel { width: 24; height: 1fr; border-left: solid $primary; scrollbar-size-vertical: 1; }
    #side { width: 100%; height: auto; }
    #status { height: 1; background: $panel; }
    #input { background: $surface; padding: 0 1; }
    """
    IN_TURN: ClassVar[list[Binding]] = [
        Binding("ctrl+n", "turn(1)", "next"),
        Binding("ctrl+p", "turn(-1)", "previous"),
        *(  # of most terminals textual reads Alt and a digit as a letter such as £
            Binding(
                f"f{digit},alt+{digit}",
                f"choose({digit - 1})",
                "go to",
                show=digit == 1,
                key_display="f1..f9",
            )
            for digit in range(1, 10)
        ),
        Binding("tab", "complete", "complete", show=False),
        Binding("up", "history(True)", "history", show=False),
        Binding("down", "history(False)", "history", show=False),
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        *IN_TURN,
        Binding("pageup", "page(True)", "scroll", priority=True, key_display="pgup/pgdn"),
        Binding("pagedown", "page(False)", "scroll", priority=True, show=False),
        Binding("ctrl+q", "leave", "quit", priority=True),
        Binding("ctrl+c", "leave", "quit", priority=True, show=False),
    ]

    def __init__(self, carrier: Carries, limits: ChatLimits = LIMITS) -> None:
        super().__init__()
        self._carrier = carrier
        self._chat = carrier.chat
        self._history = History(limits.history)
        self._drawn: tuple[str, int, int] = ("", 0, 0)  # conversation, lines, version
        self._put_before: dict[str, Text] = {}
        self._is_stale = False
        self._started = time.time() - asyncio.get_running_loop().time()

    def compose(self) -> ComposeResult:
        """The widgets, from top to bottom."""
        with Horizontal():
            yield Log(id="log", wrap=True, min_width=1, max_lines=ROWS, markup=False, highlight=False)
            with VerticalScroll(id="panel", can_focus=False):
                yield Static(id="side", markup=False)
        yield Static(id="status", markup=False)
        keys = {key: binding.action for binding in self.IN_TURN for key in binding.key.split(",")}
        yield Entry(keys, self._entered)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin: the carrier works as long as the window is there."""
        log = self.query_one("#log", Log)
        log.can_focus = False
        self.query_one("#input", Input).focus()
        self._carrier.watch(self._changed)
        self.run_worker(self._work(), exit_on_error=True)
        self._draw()

    async def _work(self) -> None:
        await self._carrier.run()
        self.exit()

    def _changed(self) -> None:
        if not self._is_stale and self.is_running:
            self._is_stale = True
            self.set_timer(REDRAW, self._draw)

    def _entered(self, line: str) -> None:
        self._history.entered(line)
        self._feed(io.Typed(line))

    def on_resize(self, event: Resize) -> None:
        """Lines are wrapped anew."""
        self._drawn = (self._drawn[0], 0, -1)
        self._changed()

    def on_input_blurred(self, event: Input.Blurred) -> None:
        """There is nothing else to write in."""
        if self.app_focus:
            event.input.focus()

    def _feed(self, input: io.Input) -> None:
        self._carrier.feed(input)
        self._changed()

    # Keys

    def action_turn(self, by: int) -> None:
        """The next conversation, or the one before."""
        self._feed(io.Turned(by))

    def action_choose(self, index: int) -> None:
        """The conversation at that place."""
        self._feed(io.Chosen(index))

    def action_leave(self) -> None:
        """As ``/quit``."""
        self._feed(io.Typed("/quit"))

    def action_page(self, up: bool) -> None:
        """Scroll the conversation."""
        log = self.query_one("#log", Log)
        (log.scroll_page_up if up else log.scroll_page_down)(animate=False)

    def action_complete(self) -> None:
        """Complete the word that is being written."""
        field = self.query_one("#input", Input)
        commands = [f"/{verb}" for verb in VERBS] if " " not in field.value else []
        self._set(completed(field.value, [*commands, *words(self._chat)]))

    def action_history(self, older: bool) -> None:
        """What was entered before, or after."""
        field = self.query_one("#input", Input)
        self._set((self._history.older if older else self._history.newer)(field.value))

    def _set(self, value: str) -> None:
        field = self.query_one("#input", Input)
        field.value = value
        field.cursor_position = len(value)

    # Drawing

    def _draw(self) -> None:
        self._is_stale = False
        with contextlib.suppress(NoMatches):  # the window is being closed
            self._put("#side", side_text(self._chat))
            self._put("#status", status_text(self._chat))
            self._draw_log()

    def _put(self, widget: str, text: Text) -> None:
        """An update lays the window out anew, which is only done when there is something new."""
        if self._put_before.get(widget) != text:
            self._put_before[widget] = text
            self.query_one(widget, Static).update(text)

    def _draw_log(self) -> None:
        """New lines are appended; when others changed, all are written anew."""
        log = self.query_one("#log", Log)
        talk = self._chat.talks.current
        key, count, version = self._drawn
        self._drawn = (talk.key, talk.count, talk.version)
        lines = list(talk.lines)
        if (key, version) == (talk.key, talk.version):
            log.append(
                [line_text(line, self._clock) for line in lines[max(0, len(lines) - talk.count + count) :]]
            )
        else:
            log.show(key, talk.key, [line_text(line, self._clock) for line in lines])

    def _clock(self, at: float) -> str:
        return time.strftime("%H:%M", time.localtime(self._started + at))
