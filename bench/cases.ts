/** Every bench case. */
import type { BenchCase } from './bench-case.ts';
import { crossThreadTell } from './cross-thread-tell.ts';
import { localTell } from './local-tell.ts';

export const cases: readonly BenchCase[] = [localTell, crossThreadTell];
