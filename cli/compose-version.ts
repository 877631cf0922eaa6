/** The version of this package, from its manifest. */
import { readFileSync } from 'node:fs';

/** '' where the manifest is not beside the build, e.g. in a bundle. */
export function packageVersion(): string {
  try {
    const manifest: unknown = JSON.parse(
      readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
    );
    if (typeof manifest !== 'object' || manifest === null || !('version' in manifest)) return '';
    return String(manifest.version);
  } catch {
    return '';
  }
}
