/** A file system of its own that is soon full: mounted for one piece of work. It fills nothing. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** '' where a file system can be mounted, else the reason why not. */
export function whyNoMount(): string {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-mount-'));
  try {
    mount(directory, '1m');
    unmount(directory);
    return '';
  } catch (error) {
    return `no file system can be mounted here (${String(error).split('\n')[0]}); it runs as root on Linux`;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function mount(directory: string, size: string): void {
  const args = ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', directory];
  execFileSync('mount', args, { stdio: 'pipe', timeout: 10_000 });
}

export function resizeDisk(directory: string, size: string): void {
  execFileSync('mount', ['-o', `remount,size=${size}`, directory], { timeout: 10_000 });
}

function unmount(directory: string): void {
  execFileSync('umount', [directory], { stdio: 'pipe', timeout: 10_000 });
}

export async function onSmallDisk(
  size: string,
  work: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-full-'));
  mount(directory, size);
  try {
    await work(directory);
  } finally {
    unmount(directory);
    rmSync(directory, { recursive: true, force: true });
  }
}
