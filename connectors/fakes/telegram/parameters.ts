/** Reads a Bot API call's parameters: query, JSON, url-encoded or multipart form. */
import type { IncomingMessage } from 'node:http';
import type { CallParameters } from '../fault-script.ts';
import { readBody } from '../http-exchange.ts';
import { BotRefusal } from './bot-refusal.ts';

export async function readParameters(request: IncomingMessage, url: URL): Promise<CallParameters> {
  const fromQuery = Object.fromEntries(url.searchParams);
  const body = await readBody(request);
  if (body.length === 0) return fromQuery;
  const type = request.headers['content-type'] ?? '';
  if (type.includes('application/json')) return { ...fromQuery, ...parseObject(body) };
  if (type.includes('form')) {
    const form = await new Response(body, { headers: { 'content-type': type } }).formData();
    return { ...fromQuery, ...Object.fromEntries(form) };
  }
  return fromQuery;
}

function parseObject(body: Buffer): CallParameters {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    if (typeof parsed === 'object' && parsed !== null) return parsed as CallParameters;
  } catch (error) {
    throw new BotRefusal(400, `Bad Request: can't parse JSON object (${String(error)})`);
  }
  throw new BotRefusal(400, 'Bad Request: object expected');
}
