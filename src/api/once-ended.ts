import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Calls back once, when a request is answered or its client has gone: also of a response that was pipelined, never
 * had the socket and so says nothing itself, and at once where that has happened already.
 */
export function onceEnded({ socket }: IncomingMessage, response: ServerResponse, then: () => void): void {
  const end = () => {
    socket.off('close', end);
    response.off('finish', end);
    response.off('close', end);
    then();
  };
  if (socket.destroyed || response.destroyed) {
    then();
    return;
  }
  // As many as are pipelined.
  socket.setMaxListeners(0);
  socket.on('close', end);
  response.on('finish', end);
  response.on('close', end);
}
