/** Calibrations from elsewhere, beside the one by clicks: files of other tools, and proposals from people who were seen. */

import { ask } from "../shared/rest.js";
import { metres, text } from "../shared/words.js";

const POLL_MS = 1500;
const LOOK_BACK_MS = 3_600_000; // detections of the last hour
const STATES_OVER = ["done", "failed"];

const byId = (id) => document.getElementById(id);

export class Elsewhere {
  /**
   * @param {{file: string, runs: string, proposals: string, environment: string, key: string}} setup
   * @param {{pairs: import("./pairs.js").Pairs, refresh: () => Promise<void>, say: (text: string, tone: string) => void}} page
   */
  constructor(setup, page) {
    this.setup = setup;
    this.page = page;
    byId("calibration-file").addEventListener("change", (event) => this.#import(event.target));
    byId("search-people").addEventListener("click", () => this.#search());
  }

  async refresh() {
    const { results } = await ask("GET", this.setup.proposals);
    byId("proposals").replaceChildren(...results.map((proposal) => this.#row(proposal)));
    byId("proposals").hidden = results.length === 0;
  }

  async #import(input) {
    const [file] = input.files;
    if (!file) return;
    const form = new FormData();
    form.append("file", file);
    form.append("unit", byId("file-unit").value);
    input.value = "";
    await this.#do(() => ask("POST", this.setup.file, { body: form }), text("imported", { name: file.name }));
  }

  #row(proposal) {
    const row = document.createElement("li");
    const what = document.createElement("div");
    const title = document.createElement("strong");
    title.textContent = text(`source.${proposal.source}`, { when: when(proposal.created_at) });
    const worth = document.createElement("span");
    worth.textContent = proposal.reason || worthOf(proposal);
    what.append(title, worth);
    row.append(what);
    if (proposal.reason) return row;
    if (proposal.applied) {
      const badge = document.createElement("span");
      badge.className = "badge";
      badge.textContent = text("applied");
      row.append(badge);
      return row;
    }
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button-plain";
    button.textContent = text("applyProposal");
    button.addEventListener("click", () =>
      this.#do(() => ask("POST", `${this.setup.allProposals}${proposal.id}/apply/`), text("saved")),
    );
    row.append(button);
    return row;
  }

  /** Look for a calibration in what was recorded; the pairs on the page are places that are known. */
  async #search() {
    const button = byId("search-people");
    button.disabled = true;
    const now = Date.now();
    const anchors = this.page.pairs.whole.map(({ px, m }) => ({ x: m[0], y: m[1], marks: { [this.setup.key]: px } }));
    const body = {
      environment: this.setup.environment,
      since: new Date(now - LOOK_BACK_MS).toISOString(),
      until: new Date(now).toISOString(),
      anchors,
    };
    try {
      let run = await ask("POST", this.setup.runs, { body });
      while (!STATES_OVER.includes(run.state)) {
        byId("search-state").textContent = text("searching", { percent: Math.round(run.progress * 100) });
        await new Promise((done) => setTimeout(done, POLL_MS));
        run = await ask("GET", `${this.setup.runs}${run.id}/`);
      }
      byId("search-state").textContent = run.message || text("searched");
      await this.refresh();
    } catch (error) {
      byId("search-state").textContent = error.message;
    } finally {
      button.disabled = false;
    }
  }

  async #do(act, message) {
    try {
      await act();
      await this.page.refresh();
      await this.refresh();
      this.page.say(message, "good");
    } catch (error) {
      this.page.say(error.message, "bad");
    }
  }
}

function worthOf({ error_m: error, before_m: before, people }) {
  if (before === null) return text("proposalNew", { error: metres(error), people });
  return text("proposalWorth", { error: metres(error), before: metres(before), people });
}

function when(at) {
  return new Date(at).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
}
