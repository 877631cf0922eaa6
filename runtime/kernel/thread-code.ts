/** What a module and an export mean in one thread: the code of its actors, made ready once. */
import { DEFINITION } from '../actor.ts';
import { RuntimeError } from '../errors.ts';
import type { AnyDefinition, ThreadWorld } from '../system.ts';
import { findDefinition, type Resolve, resolveByImport } from '../thread/resolve.ts';
import type { CodeName } from '../thread/spare.ts';
import { type Compiled, compile, isDefinition } from './compiled.ts';

export class ThreadCode {
  /** The thread setup may have its own. */
  resolve: Resolve = resolveByImport;
  readonly #thread: Pick<ThreadWorld, 'tracing'>;
  readonly #compiled = new Map<string, Compiled>();
  readonly #definitions = new WeakMap<AnyDefinition, Compiled>();

  constructor(thread: Pick<ThreadWorld, 'tracing'>) {
    this.#thread = thread;
  }

  /** Undefined where it is to be loaded first. */
  of(code: CodeName): Compiled | undefined {
    const definition = (code as { readonly [DEFINITION]?: AnyDefinition })[DEFINITION];
    // A thread's own way from a name to code comes before what the spec was made of.
    const isKnown =
      definition !== undefined &&
      this.resolve === resolveByImport &&
      definition.module === code.module &&
      definition.export === code.export;
    return isKnown ? this.#compile(definition) : this.#compiled.get(keyOf(code));
  }

  /** Rejects with `unknown_module`, or what `compile` throws. */
  async load(code: CodeName): Promise<Compiled> {
    const { module, export: exportName } = code;
    let definition: unknown;
    try {
      definition = await findDefinition(this.resolve, module, exportName);
    } catch (error) {
      throw new RuntimeError('unknown_module', `cannot load ${module}`, { cause: error });
    }
    if (!isDefinition(definition)) {
      throw new RuntimeError(
        'unknown_module',
        `${module} exports no actor definition '${exportName}'`,
      );
    }
    const compiled = this.#compile(definition);
    this.#compiled.set(keyOf(code), compiled);
    return compiled;
  }

  #compile(definition: AnyDefinition): Compiled {
    const known = this.#definitions.get(definition);
    if (known !== undefined) return known;
    const compiled = compile(definition, this.#thread.tracing);
    this.#definitions.set(definition, compiled);
    return compiled;
  }
}

function keyOf(code: CodeName): string {
  return `${code.module}\0${code.export}`;
}
