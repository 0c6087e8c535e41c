"""The page of rules and alerts of a place, for people."""

from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views import View

from accounts.auditing import address_of
from accounts.models import AuditAction, User
from accounts.services import audit_write
from environments.models import Environment
from environments.selectors import environments_visible_to
from tracking.live import SUBPROTOCOL
from tracking.notifications import services
from tracking.notifications.forms import NoteForm, RuleForm, WebhookForm
from tracking.notifications.models import Alert, Rule, Webhook
from tracking.notifications.selectors import alerts_of, last_test, rules_with_places
from tracking.notifications.words import alert_words, recipients_words, rule_words

PAGE_SIZE = 30


class AlertsView(View):
    """Shows the alerts of a place, and to those who may see them its rules and webhooks."""

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        """Show them."""
        environment, user = _place(request, slug, "notifications.view_alert")
        is_open = request.GET.get("show") != "all"
        alerts = Paginator(alerts_of(environment=environment, is_open=is_open), PAGE_SIZE)
        page = alerts.get_page(request.GET.get("page"))
        tested = request.GET.get("tested", "")
        context: dict[str, Any] = {
            "environment": environment,
            "subprotocol": SUBPROTOCOL,
            "is_open": is_open,
            "page": page,
            "alerts": [(alert, alert_words(alert)) for alert in page],
            "may_acknowledge": user.has_perm("notifications.change_alert"),
            "may_edit": user.has_perm("notifications.change_rule"),
            "tested": tested,
        }
        if user.has_perm("notifications.view_rule"):
            rules = rules_with_places(rules=environment.rules.order_by("name"))
            context["rules"] = [_shown(rule, tested) for rule in rules]
        if user.has_perm("notifications.view_webhook"):
            context["webhooks"] = environment.webhooks.all()
        return render(request, "notifications/alerts.html", context)


class AlertSeenView(View):
    """Notes that somebody has seen to an alert."""

    def post(self, request: HttpRequest, slug: str, pk: int) -> HttpResponse:
        """Note it and go back."""
        environment, user = _place(request, slug, "notifications.change_alert")
        alert = get_object_or_404(Alert, environment=environment, pk=pk)
        form = NoteForm(request.POST)
        if not form.is_valid():
            messages.error(request, " ".join(map(str, form.errors["note"])))
            return redirect("alerts", slug)
        try:
            services.alert_acknowledge(
                alert=alert, by=user, note=form.cleaned_data["note"], now=timezone.now()
            )
        except services.Acknowledged as error:
            messages.info(request, str(error))
        else:
            _write_down(request, AuditAction.CHANGED, alert)
        return redirect("alerts", slug)


class RuleView(View):
    """Makes a rule, or changes one."""

    def get(self, request: HttpRequest, slug: str, pk: int | None = None) -> HttpResponse:
        """Ask for it."""
        environment, rule = self._rule(request, slug, pk)
        return self._ask(request, environment, RuleForm(instance=rule, environment=environment))

    def post(self, request: HttpRequest, slug: str, pk: int | None = None) -> HttpResponse:
        """Save it."""
        environment, rule = self._rule(request, slug, pk)
        form = RuleForm(request.POST, instance=rule, environment=environment)
        if not form.is_valid():
            return self._ask(request, environment, form)
        saved = services.rule_save(rule=form.instance, **form.cleaned_data)
        _write_down(request, AuditAction.CHANGED if pk else AuditAction.CREATED, saved)
        messages.success(request, _("The rule “%(rule)s” is saved.") % {"rule": saved})
        return redirect("alerts", slug)

    def _rule(self, request: HttpRequest, slug: str, pk: int | None) -> tuple[Environment, Rule | None]:
        environment, _user = _place(request, slug, "notifications.change_rule")
        return environment, None if pk is None else get_object_or_404(environment.rules, pk=pk)

    def _ask(self, request: HttpRequest, environment: Environment, form: RuleForm) -> HttpResponse:
        context = {"environment": environment, "form": form}
        return render(request, "notifications/rule.html", context)


class RuleDeleteView(View):
    """Deletes a rule; its alerts stay."""

    def post(self, request: HttpRequest, slug: str, pk: int) -> HttpResponse:
        """Delete it."""
        environment, _user = _place(request, slug, "notifications.delete_rule")
        rule = get_object_or_404(environment.rules, pk=pk)
        _write_down(request, AuditAction.DELETED, rule)
        rule.delete()
        messages.success(request, _("The rule “%(rule)s” is deleted; its alerts stay.") % {"rule": rule})
        return redirect("alerts", slug)


class RuleTestView(View):
    """Sends a test to everybody whom a rule tells."""

    def post(self, request: HttpRequest, slug: str, pk: int) -> HttpResponse:
        """Send it, and go where its outcome is shown."""
        environment, _user = _place(request, slug, "notifications.change_rule")
        rule = get_object_or_404(environment.rules, pk=pk)
        try:
            services.rule_test(rule=rule, now=timezone.now())
        except services.NobodyTold as error:
            messages.error(request, str(error))
            return redirect("alerts", slug)
        _write_down(request, AuditAction.CHANGED, rule, {"action": "test"})
        response = redirect("alerts", slug)
        response["Location"] += f"?tested={pk}#rule-{pk}"
        return response


class WebhookView(View):
    """Makes a webhook, or changes one."""

    def get(self, request: HttpRequest, slug: str, pk: int | None = None) -> HttpResponse:
        """Ask for it."""
        environment, webhook = self._webhook(request, slug, pk)
        return self._ask(request, environment, WebhookForm(instance=webhook, environment=environment))

    def post(self, request: HttpRequest, slug: str, pk: int | None = None) -> HttpResponse:
        """Save it; the secret of a new one is shown this once."""
        environment, webhook = self._webhook(request, slug, pk)
        form = WebhookForm(request.POST, instance=webhook, environment=environment)
        if not form.is_valid():
            return self._ask(request, environment, form)
        saved = services.webhook_save(webhook=form.instance, **form.cleaned_data)
        _write_down(request, AuditAction.CHANGED if pk else AuditAction.CREATED, saved)
        if pk:
            return redirect("alerts", slug)
        return render(request, "notifications/webhook.html", {"environment": environment, "made": saved})

    def _webhook(self, request: HttpRequest, slug: str, pk: int | None) -> tuple[Environment, Webhook | None]:
        environment, _user = _place(request, slug, "notifications.change_webhook")
        return environment, None if pk is None else get_object_or_404(environment.webhooks, pk=pk)

    def _ask(self, request: HttpRequest, environment: Environment, form: WebhookForm) -> HttpResponse:
        context = {"environment": environment, "form": form}
        return render(request, "notifications/webhook.html", context)


class WebhookDeleteView(View):
    """Deletes a webhook; rules tell it no more."""

    def post(self, request: HttpRequest, slug: str, pk: int) -> HttpResponse:
        """Delete it."""
        environment, _user = _place(request, slug, "notifications.delete_webhook")
        webhook = get_object_or_404(environment.webhooks, pk=pk)
        _write_down(request, AuditAction.DELETED, webhook)
        webhook.delete()
        messages.success(request, _("The webhook “%(webhook)s” is deleted.") % {"webhook": webhook})
        return redirect("alerts", slug)


def _place(request: HttpRequest, slug: str, permission: str) -> tuple[Environment, User]:
    """Give a place that the user may see, for what they may do there.

    Raises:
        Http404: there is none that they may see.
        PermissionDenied: they may see it, and not do this.
    """
    user = cast(User, request.user)
    environment = get_object_or_404(environments_visible_to(user=user), slug=slug)
    if not user.has_perm(permission):
        raise PermissionDenied
    return environment, user


def _shown(rule: Rule, tested: str) -> dict[str, Any]:
    return {
        "rule": rule,
        "words": rule_words(rule),
        "told": recipients_words(rule),
        "test": last_test(rule=rule) if tested == str(rule.pk) else [],
    }


def _write_down(
    request: HttpRequest, action: AuditAction, thing: Rule | Webhook | Alert, detail: Any = None
) -> None:
    audit_write(
        actor=cast(User, request.user),
        action=action,
        kind=str(thing._meta.model_name),
        now=timezone.now(),
        object_id=str(thing.pk),
        name=str(thing),
        environment=thing.environment.slug,
        address=address_of(request),
        detail=detail or {},
    )
