"""Rules and alerts in plain words."""

from collections.abc import Sequence
from typing import Any

from django.utils.formats import time_format
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from tracking.choices import EventKind
from tracking.notifications.choices import Day
from tracking.notifications.models import Alert, Rule

# {who} is a person, {where} a zone or nothing, {camera} a camera
HAPPENED = {
    EventKind.PERSON_APPEARED: gettext_lazy("{who} appeared"),
    EventKind.PERSON_LEFT: gettext_lazy("{who} left"),
    EventKind.REIDENTIFIED: gettext_lazy("{who} was recognised again"),
    EventKind.IDENTITY_MERGED: gettext_lazy("{who} turned out to be known"),
    EventKind.IDENTITY_REVISED: gettext_lazy("{who} got the right number"),
    EventKind.ZONE_ENTER: gettext_lazy("{who} entered {where}"),
    EventKind.ZONE_LEAVE: gettext_lazy("{who} left {where}"),
    EventKind.LINE_CROSS: gettext_lazy("{who} crossed {where}"),
    EventKind.HANDOVER: gettext_lazy("{who} went over to camera {camera}"),
    EventKind.CAPACITY_EXCEEDED: gettext_lazy(
        "Too many people in {where}: {count}, and {capacity} are allowed"
    ),
    EventKind.CAPACITY_RESTORED: gettext_lazy("No longer too many people in {where}: {count}"),
    EventKind.CAMERA_ONLINE: gettext_lazy("Camera {camera} is online again"),
    EventKind.CAMERA_OFFLINE: gettext_lazy("Camera {camera} gives no pictures"),
    EventKind.CAMERA_MOVED: gettext_lazy("Camera {camera} was moved"),
}
WHENEVER = {
    EventKind.PERSON_APPEARED: gettext_lazy("somebody appears"),
    EventKind.PERSON_LEFT: gettext_lazy("somebody leaves"),
    EventKind.REIDENTIFIED: gettext_lazy("somebody is recognised again"),
    EventKind.IDENTITY_MERGED: gettext_lazy("somebody turns out to be known"),
    EventKind.IDENTITY_REVISED: gettext_lazy("somebody gets the right number"),
    EventKind.ZONE_ENTER: gettext_lazy("somebody enters a zone"),
    EventKind.ZONE_LEAVE: gettext_lazy("somebody leaves a zone"),
    EventKind.LINE_CROSS: gettext_lazy("somebody crosses a line"),
    EventKind.HANDOVER: gettext_lazy("somebody goes from camera to camera"),
    EventKind.CAPACITY_EXCEEDED: gettext_lazy("too many people are in an area"),
    EventKind.CAPACITY_RESTORED: gettext_lazy("an area is no longer too full"),
    EventKind.CAMERA_ONLINE: gettext_lazy("a camera comes back"),
    EventKind.CAMERA_OFFLINE: gettext_lazy("a camera goes down"),
    EventKind.CAMERA_MOVED: gettext_lazy("a camera was moved"),
}
SHORT_DAYS = {
    Day.MONDAY: gettext_lazy("Mon"),
    Day.TUESDAY: gettext_lazy("Tue"),
    Day.WEDNESDAY: gettext_lazy("Wed"),
    Day.THURSDAY: gettext_lazy("Thu"),
    Day.FRIDAY: gettext_lazy("Fri"),
    Day.SATURDAY: gettext_lazy("Sat"),
    Day.SUNDAY: gettext_lazy("Sun"),
}


def alert_words(alert: Alert) -> str:
    """Say what happened, in one line."""
    number = alert.person.number if alert.person else None
    happened = str(HAPPENED.get(EventKind(alert.kind), "{kind}")).format(
        who=_("Somebody") if number is None else _("Person %(number)d") % {"number": number},
        where=alert.zone.name if alert.zone else _("a zone"),
        camera=alert.camera or "?",
        count=alert.payload.get("count", "?"),
        capacity=alert.payload.get("capacity", "?"),
        kind=alert.kind,
    )
    if alert.count == 1:
        return happened
    return _("%(count)d times, last: %(happened)s") % {"count": alert.count, "happened": happened}


def rule_words(rule: Rule) -> str:
    """Say what a rule waits for, in one sentence; its zones and cameras should be fetched with it."""
    kinds = [str(WHENEVER[EventKind(kind)]) for kind in rule.kinds]
    parts = [_("When %(happens)s") % {"happens": get_text_list(kinds, _("or"))}]
    places = [*map(str, rule.zones.all()), *map(str, rule.cameras.all())]
    if places:
        parts.append(_("(%(places)s only)") % {"places": ", ".join(places)})
    parts += [words for words in (_when(rule), _how_often(rule)) if words]
    sentence = " ".join(parts)
    if rule.cooldown_s:
        sentence += "; " + _("then quiet for %(time)s") % {"time": duration_words(rule.cooldown_s)}
    return sentence + "."


def recipients_words(rule: Rule) -> str:
    """Say who is told; the rule's webhooks should be fetched with it."""
    told = [_("the page")] if rule.on_page else []
    told += [*rule.emails, *(f"“{webhook}”" for webhook in rule.webhooks.all())]
    return ", ".join(told) or _("nobody")


def duration_words(seconds: int) -> str:
    """Write a time in the largest unit that fits."""
    if seconds % 3600 == 0:
        return ngettext("%(count)d hour", "%(count)d hours", seconds // 3600) % {"count": seconds // 3600}
    if seconds % 60 == 0:
        return ngettext("%(count)d minute", "%(count)d minutes", seconds // 60) % {"count": seconds // 60}
    return ngettext("%(count)d second", "%(count)d seconds", seconds) % {"count": seconds}


def _when(rule: Rule) -> str:
    days = _days(rule.days)
    if rule.from_time is None or rule.until_time is None:
        return days
    hours = _("from %(begin)s to %(end)s") % {
        "begin": time_format(rule.from_time, "H:i"),
        "end": time_format(rule.until_time, "H:i"),
    }
    return f"{days} {hours}".strip()


def _days(days: Sequence[Any]) -> str:
    """Name days; runs of three and more by their ends, all seven not at all."""
    chosen = [place for place, day in enumerate(Day.values) if day in days]
    if len(chosen) == 7:
        return ""
    runs: list[list[int]] = []
    for place in chosen:
        if runs and runs[-1][-1] == place - 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    short = [str(name) for name in SHORT_DAYS.values()]
    named = [
        f"{short[run[0]]}\N{EN DASH}{short[run[-1]]}" if len(run) > 2 else ", ".join(short[p] for p in run)
        for run in runs
    ]
    return _("on %(days)s") % {"days": ", ".join(named)}


def _how_often(rule: Rule) -> str:
    if rule.count == 1:
        return ""
    return _("%(count)d times within %(time)s") % {
        "count": rule.count,
        "time": duration_words(rule.window_s),
    }
