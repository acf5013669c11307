// This device's camera, as JPEG frames over the WebSocket of a session of its own.

import { connect, endSession, freeName, openSession } from "./api.js";

const WIDTH = 640, QUALITY = 0.8, EVERY_MS = 33;

export class Webcam {
  constructor() { this.name = null; }

  get isOn() { return this.name !== null; }

  async start(taken) {
    if (!navigator.mediaDevices) {
      throw new Error("A browser gives its camera to https:// and localhost only.");
    }
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: WIDTH } }, audio: false });
    const name = freeName("webcam", taken);
    try {
      await openSession(name, null);
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop());
      throw error;
    }
    this.name = name;
    this.stream = stream;
    this.video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
    await this.video.play();
    this.canvas = document.createElement("canvas");
    this.socket = connect(name, { mask: "none", ask: "1" });
    this.socket.addEventListener("close", () => this.release());
    this.socket.addEventListener("open", () => this.push());
  }

  push() {
    const { socket, video, canvas } = this;
    if (socket?.readyState !== WebSocket.OPEN) return;
    const again = () => setTimeout(() => this.push(), EVERY_MS);
    if (socket.bufferedAmount > 0 || !video.videoWidth) { // the line is slower than the camera: skip
      again();
      return;
    }
    const scale = Math.min(1, WIDTH / video.videoWidth);
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => {
      if (blob && socket.readyState === WebSocket.OPEN) socket.send(blob);
      again();
    }, "image/jpeg", QUALITY);
  }

  release() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.socket?.close();
    this.name = this.stream = this.socket = null;
  }

  async stop(options = {}) {
    const { name } = this;
    this.release();
    if (name) await endSession(name, options).catch(() => {});
  }
}
