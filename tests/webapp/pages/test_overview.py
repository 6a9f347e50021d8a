"""The overview: what accrues, what closes, what needs somebody."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from billing.ledger import bills, closing, overview, progress, rollups
from billing.ledger.database import transaction
from tests.support.stopwatch import stopwatch
from webapp.identity.roles import Role
from webapp.pages.element_ids import element_id
from webapp.rates import RatesInUse


@pytest.fixture
def counted(engine):
    """Counts the log to its end, as the worker does."""

    def count():
        while rollups.follow(engine):
            pass

    return count


@pytest.fixture(autouse=True)
def empty(engine):
    """Every test begins with no bills."""
    yield
    with transaction(engine) as connection:
        connection.execute(text("TRUNCATE customers, bills, events, worker_heartbeats CASCADE"))
        connection.execute(text("UPDATE rollup_position SET followed_at = NULL, workflows_behind = 0"))
    rollups.rebuild(engine)


def move(engine, bill, **values):
    settings = ", ".join(f"{name} = clock_timestamp() + :{name}" for name in values)
    with transaction(engine) as connection:
        connection.execute(text(f"UPDATE bills SET {settings} WHERE id = :id"), {"id": bill.id, **values})


def concerns(page):
    return {e.attributes["id"].removeprefix("concern-") for e in page.with_class("concern")}


class TestFigures:
    def test_before_anything_was_counted_it_says_so(self, viewer, engine):
        with transaction(engine) as connection:
            connection.execute(text("UPDATE rollup_position SET followed_at = NULL"))
        assert "Not counted yet" in viewer.open("/").text

    def test_while_they_are_counted_anew_no_sums_are_shown(self, viewer, engine, new_bill, add, counted):
        add(new_bill(), price="2.705", code="GEL")
        counted()
        assert viewer.open("/").id("accruing-GEL")
        with transaction(engine) as connection:
            connection.execute(text("UPDATE rollup_position SET followed_at = NULL"))
        page = viewer.open("/")
        assert "Not counted yet" in page.text
        assert not page.with_class("accruing")

    def test_without_bills_it_says_what_will_be_here_and_offers_a_first_one_to_who_may(self, viewer, operator, counted):
        counted()
        assert "No bills yet" in viewer.open("/").text
        assert not [a for a in viewer.open("/").id("overview").all("a") if a.text == "New bill"]
        assert [a for a in operator.open("/").id("overview").all("a") if a.text == "New bill"]

    def test_each_currency_and_the_whole_add_up(self, viewer, new_bill, add, counted):
        for _ in range(2):
            bill = new_bill()
            add(bill, price="0.005", code="USD")
            add(bill, price="2.705", code="GEL")
        counted()
        page = viewer.open("/")
        usd, gel = page.id("accruing-USD").money(), page.id("accruing-GEL").money()
        assert usd == ["0.01 USD", "0.01 USD", "0.02 USD", "0.02 USD"]
        assert gel[:3] == ["5.41 GEL", "0.01 GEL", "5.42 GEL"]
        whole = Decimal(usd[-1].split()[0]) + Decimal(gel[-1].split()[0])
        assert page.id("overview-whole").money() == [f"{whole} USD"]
        assert "Indicative. Sample rates of" in page.text
        assert "as of" in page.with_class("as-of")[0].text

    def test_the_whole_is_shown_in_the_currency_one_chooses(self, viewer, new_bill, add, counted):
        add(new_bill(), price="100", code="JPY")
        counted()
        page = viewer.open("/?in=JPY&accrual=JPY")
        assert page.id("overview-whole").money() == ["100 JPY"]
        assert "No rates are needed" in page.text
        assert "Accrual per day in JPY" in page.text
        for wrong in ("XXX", "", "usd", "<b>", "\0"):
            assert viewer.open(f"/?in={wrong}&accrual={wrong}").id("overview-whole").money()[0].endswith(" USD")

    def test_without_a_rate_there_is_no_whole(self, app, viewer, new_bill, add, counted, monkeypatch):
        nothing = RatesInUse(None, stale=False, frozen=False, as_of=datetime.now(UTC))
        monkeypatch.setattr(app.extensions["pave"].rates, "current", lambda: nothing)
        add(new_bill(), code="GEL")
        counted()
        page = viewer.open("/")
        assert "There is no rate for GEL, USD" in page.text
        assert page.id("overview-whole").text == "unavailable"

    @pytest.mark.usefixtures("one_day")
    def test_accrual_per_day_is_drawn_and_told_in_a_table(self, viewer, new_bill, add, counted):
        add(new_bill(), price="12.5")
        counted()
        page = viewer.open("/")
        drawing = next(e for e in page.with_class("chart-drawing"))
        title, description = drawing.attributes["aria-labelledby"].split()
        assert page.id(title).text == "Accrual per day in USD"
        assert "12.5 USD in all" in page.id(description).text
        assert len(drawing.with_class("chart-bar")) == 30
        table = page.with_class("chart-table")[0]
        assert table.money()[0] == "12.5 USD"
        assert set(table.money()[1:]) == {"0 USD"}

    @pytest.mark.usefixtures("one_day")
    def test_bills_are_counted_by_state_and_closed_ones_by_month(self, viewer, engine, origin, new_bill, add, counted):
        closed, wished = new_bill(), new_bill()
        new_bill()
        add(closed, price="0.125", code="KWD")
        for bill in (closed, wished):
            bills.request_close(engine, origin, bill.id)
        closing.close_bill(engine, origin, closed.id, samples=True)
        counted()
        page = viewer.open("/")
        states = page.with_class("states")[0].all("svg")
        assert [e.attributes["aria-label"] for e in states] == ["1 open", "1 closing", "1 closed"]
        assert page.id("closed-KWD").money() == ["0.125 KWD"]
        assert f"Closed in {datetime.now(UTC):%B} 1" in page.text

    def test_what_closes_next_comes_first_with_the_time_it_has(self, viewer, new_bill, counted):
        later = new_bill(end=datetime.now(UTC) + timedelta(days=3, hours=2))
        sooner = new_bill(end=datetime.now(UTC) + timedelta(hours=2, minutes=5))
        for _ in range(6):
            new_bill()
        counted()
        listed = viewer.open("/").with_class("closing-soon")[0].all("li")
        assert len(listed) == 6
        assert [e.attributes["id"] for e in listed[:2]] == [element_id(bill, "closing") for bill in (sooner, later)]
        assert "in 2 h 4 min" in listed[0].text

    def test_names_are_text_and_never_markup(self, viewer, new_bill, counted):
        new_bill("<script>alert(1)</script>", end=datetime.now(UTC) + timedelta(hours=1))
        counted()
        assert not viewer.open("/").with_class("closing-soon")[0].all("script")


class TestAttention:
    def test_sample_rates_and_a_missing_worker_are_said_with_where_to_go(self, viewer, counted):
        counted()
        page = viewer.open("/")
        assert {"rates-sample", "worker"} <= concerns(page)
        assert page.id("concern-rates-sample").all("a")[-1].attributes["href"] == "/rates"
        assert "None ever gave one" in page.id("concern-worker").text

    def test_a_worker_that_beats_needs_nobody(self, viewer, engine, counted):
        progress.beat(engine, "worker")
        counted()
        assert "worker" not in concerns(viewer.open("/"))
        with transaction(engine) as connection:
            connection.execute(text("UPDATE worker_heartbeats SET beat_at = clock_timestamp() - interval '3 minutes'"))
        assert "The last sign was 3 min ago" in viewer.open("/").id("concern-worker").text

    def test_bills_past_their_end_are_named(self, viewer, engine, new_bill):
        late, recent = new_bill(), new_bill()
        day = timedelta(days=1)
        move(engine, late, period_start=-2 * day, period_end=timedelta(minutes=-2))
        move(engine, recent, period_start=-2 * day, period_end=timedelta(seconds=-20))
        overdue = viewer.open("/").id("concern-overdue")
        assert "1 bill is past the end" in overdue.text
        assert overdue.all("a")[0].attributes["href"] == f"/bills/{late.id}"

    def test_closings_that_do_not_finish_are_named(self, viewer, engine, origin, new_bill):
        wished, fresh = new_bill(), new_bill()
        for bill in (wished, fresh):
            bills.request_close(engine, origin, bill.id)
        move(engine, wished, close_requested_at=timedelta(minutes=-2))
        late = viewer.open("/").id("concern-closing")
        assert "1 bill is closing for more than a minute" in late.text
        assert [a.attributes["href"] for a in late.all("a")] == [f"/bills/{wished.id}", "/bills?status=closing"]

    def test_workflows_that_are_behind_are_counted(self, viewer, engine, new_bill):
        move(engine, new_bill(), updated_at=timedelta(minutes=-5))
        rollups.look_behind(engine, patience=timedelta(minutes=2))
        assert "1 workflow is behind" in viewer.open("/").id("concern-behind").text

    def test_sums_that_are_behind_are_said_while_a_worker_lives(self, viewer, engine, counted):
        progress.beat(engine, "worker")
        counted()
        assert "sums" not in concerns(viewer.open("/"))
        with transaction(engine) as connection:
            connection.execute(text("UPDATE rollup_position SET followed_at = followed_at - interval '5 minutes'"))
        assert "They are 5 min old" in viewer.open("/").id("concern-sums").text

    def test_temporal_out_of_reach_is_said_and_never_waited_for(self, viewer):
        for _ in range(40):
            with stopwatch() as took:
                page = viewer.open("/")
            assert took.s < 1.5
            if "temporal" in concerns(page):
                return
        pytest.fail("Temporal was never said to be out of reach")


class TestRail:
    def test_it_counts_open_bills_and_what_needs_attention(self, app, viewer, new_bill, counted):
        for _ in range(3):
            new_bill()
        counted()
        page = viewer.open("/")
        counts = {a.text for a in page.with_class("sections")[0].all("a")}
        assert "Bills 3 open" in counts
        attention = next(a for a in page.with_class("sections")[0].all("a") if a.text.startswith("Needs attention"))
        assert attention.attributes["href"] == "/attention"
        assert int(attention.text.rsplit(" ", 1)[1]) == len(concerns(page))

    @pytest.mark.parametrize(
        ("address", "name"), [("/", "Overview"), ("/bills", "Bills"), ("/customers", "Customers"), ("/rates", "Rates")]
    )
    def test_it_says_where_one_is(self, viewer, address, name):
        entries = viewer.open(address).with_class("sections")[0].all("a")
        assert [a.text.split(" ")[0] for a in entries if "aria-current" in a.attributes] == [name]

    @pytest.mark.usefixtures("nothing_to_remember_anew")
    def test_it_is_counted_once_a_moment_and_not_for_every_page(self, viewer, monkeypatch):
        viewer.open("/")
        monkeypatch.setattr(overview, "standing", lambda *_, **__: pytest.fail("asked again"))
        viewer.open("/bills")

    def test_signing_in_leads_to_the_overview(self, visitor, accounts):
        visitor.signed_in(accounts[Role.VIEWER])
        assert visitor.went_to == "/"
