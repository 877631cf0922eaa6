/** A configuration that has passed every check, and where its keys stand for what is found wrong only later. */
import type { ConfigIssue, KeyIssue } from './config-error.ts';
import type { GatewayConfig } from './gateway-config.ts';
import type { Listen } from './listen.ts';

type Place = (issue: KeyIssue) => ConfigIssue;

/** Made by the parser only: whoever holds one need not check it again. */
export class CheckedConfig {
  readonly config: GatewayConfig;
  /** What is allowed but probably not meant. */
  readonly warnings: readonly ConfigIssue[];
  readonly #doubts: readonly KeyIssue[];
  readonly #place: Place;

  constructor(config: GatewayConfig, doubts: readonly KeyIssue[], place: Place) {
    this.config = config;
    this.warnings = inOrder(doubts.map(place));
    this.#doubts = doubts;
    this.#place = place;
  }

  /** The issue with the file and line of its key. */
  issue(issue: KeyIssue): ConfigIssue {
    return this.#place(issue);
  }

  /** The same with another address. */
  listeningOn(listen: Listen): CheckedConfig {
    const http = { ...this.config.http, ...listen };
    return new CheckedConfig({ ...this.config, http }, this.#doubts, this.#place);
  }
}

export function inOrder(issues: readonly ConfigIssue[]): readonly ConfigIssue[] {
  return [...issues].sort((a, b) => a.line - b.line);
}
