/**
 * All words of the consult page, in English and French. Error codes are those of docs/browser.md and docs/signaling.md.
 *
 * Written for people who are worried and not at home with computers: short sentences, what happened, what to do.
 */

export const LANGUAGES = ["en", "fr"];

const en = {
  title: "Video consultation",
  other_language: "Français",
  skip: "Skip to the consultation",

  lobby_title: "Before you join",
  lobby_lead: "Check that you can see yourself and that the sound bar moves when you speak.",
  camera: "Camera",
  microphone: "Microphone",
  speaker: "Loudspeaker",
  no_camera: "No camera",
  no_microphone: "No microphone",
  default_speaker: "The usual loudspeaker",
  unnamed_camera: "Camera {number}",
  unnamed_microphone: "Microphone {number}",
  unnamed_speaker: "Loudspeaker {number}",
  level: "Sound level of your microphone",
  level_silent: "Say a few words: the bar should move.",
  level_heard: "We can hear you.",
  level_waiting: "Click anywhere on this page to test your microphone.",
  level_off: "Your microphone is not used.",
  test_sound: "Play a test sound",
  test_sound_playing: "You should hear three notes now.",
  your_picture: "Your picture",
  you: "You",
  preview_off: "Your camera is not used.",
  preview_opening: "Opening your camera…",

  join: "Join the consultation",
  join_audio: "Join with sound only",
  join_video: "Join with picture only",
  join_listen: "Join to watch and listen only",
  try_again: "Try again",
  sound_only: "Use the microphone only",

  asking: "Your browser may ask to use your camera and microphone. Please choose “Allow”.",
  ready: "You are ready. Press the large button to join.",
  ready_audio: "Your microphone works. You can join with sound only.",
  ready_video: "Your camera works. You can join with picture only.",
  ready_listen: "You can join without camera and microphone: you will see and hear the others.",
  joining: "Joining…",
  connecting: "You are in. Picture and sound are being connected…",
  alone: "You are in. Please wait here: the other person has not joined yet.",
  alone_again: "You are alone now. You may wait here: the other person can come back.",
  with_one: "You are connected with {who}.",
  with_many: "You are connected with {count} people.",
  reconnecting: "The connection to the service was lost. We are reconnecting; please stay here.",
  reconnected: "The connection is back.",
  media_lost: "Picture and sound are interrupted. We are reconnecting; please stay here.",
  network_poor: "Your internet connection is weak: picture and sound may stop at times.",
  network_good: "The internet connection is good again.",
  other_joined: "{Who} has joined.",
  other_left: "{Who} has left.",
  other_interrupted: "{Who} has lost the connection. Please wait: they may come back in a moment.",
  other_back: "{Who} is back.",
  draining: "The service will be restarted after this consultation.",
  sound_blocked: "Your browser keeps the sound off until you press “Turn on sound”.",
  turn_on_sound: "Turn on sound",
  you_muted: "Your microphone is off: nobody hears you.",

  mute: "Turn microphone off",
  unmute: "Turn microphone on",
  hide: "Turn camera off",
  show: "Turn camera on",
  devices: "Camera and sound",
  devices_close: "Done",
  leave: "Leave",
  controls: "Controls",
  people: "People in this consultation",
  enlarge: "Show {who} large",

  other_video_user: "{Who} has turned the camera off.",
  other_audio_user: "{Who} has turned the microphone off.",
  other_video_source: "{Who}’s camera gives no picture: it is switched off on their device.",
  other_audio_source: "{Who}’s microphone is silent: it is switched off on their device.",
  other_video_device_lost: "{Who}’s camera was disconnected.",
  other_audio_device_lost: "{Who}’s microphone was disconnected. They may still hear you.",
  other_video_permission_denied: "{Who}’s browser no longer allows the camera.",
  other_audio_permission_denied: "{Who}’s browser no longer allows the microphone. They may still hear you.",
  other_held: "{Who} is held up, perhaps by a phone call. Please wait a moment.",
  other_stalled: "Nothing comes from {who} just now. Please wait: the connection may come back.",
  other_video_stalled: "The picture of {who} stands still. The sound goes on.",
  other_audio_stalled: "No sound comes from {who} just now. Please wait a moment.",

  badge_muted: "Microphone off",
  badge_silent: "Microphone off on the device",
  badge_interrupted: "On a phone call?",
  badge_sound_stalled: "Sound interrupted",
  badge_stalled: "Picture interrupted",
  badge_no_microphone: "No microphone",
  tile_camera_off: "The camera is off",
  tile_camera_silent: "The camera is switched off on the device",
  tile_camera_lost: "The camera was disconnected",
  tile_camera_denied: "The camera is not allowed",
  tile_interrupted: "Perhaps on a phone call: please wait",
  tile_no_camera: "No camera",
  self_camera_off: "Camera off",
  tile_waiting: "Picture is coming…",
  badge_lost: "Connection lost",

  role_patient: "the patient",
  role_companion: "the companion",
  role_practitioner: "the practitioner",
  role_requester: "the requesting practitioner",
  role_expert: "the expert",
  role_assistant: "the assistant",
  role_interpreter: "the interpreter",
  role_device: "the device",
  role_observer: "the observer",
  role_recorder: "the recorder",
  role_other: "the other person",

  left_title: "You have left the consultation",
  ended_title: "The consultation has ended",
  lost_title: "You are no longer connected",
  duplicate_join_title: "The consultation is open elsewhere",
  after_left: "You may close this page.",
  after_ended: "You may close this page.",
  after_duplicate_join: "You have joined from another window or another device. Go on there.",
  rejoin: "Join again",

  error_permission_denied_video:
    "The browser may not use your camera. Press the camera sign beside the page address, choose “Allow”, then “Try again”.",
  error_permission_denied_audio:
    "The browser may not use your microphone. Press the sign beside the page address, choose “Allow”, then “Try again”.",
  error_permission_denied:
    "The browser may not use your camera and microphone. Press the sign beside the page address, choose “Allow”, then “Try again”.",
  error_no_device_video: "No camera was found. If you have one, plug it in and press “Try again”.",
  error_no_device_audio: "No microphone was found. If you have one, plug it in and press “Try again”.",
  error_no_device: "No camera and no microphone were found. If you have them, plug them in and press “Try again”.",
  error_device_busy_video: "Another program is using your camera. Close that program, then press “Try again”.",
  error_device_busy_audio: "Another program is using your microphone. Close that program, then press “Try again”.",
  error_device_busy: "Another program is using your camera and microphone. Close that program, then press “Try again”.",
  error_device_failed: "Your camera or microphone could not be started. Unplug it, plug it in again, then press “Try again”.",
  error_device_lost_video: "Your camera was disconnected. Plug it in again and press “Try again”, or choose another one.",
  error_device_lost_audio: "Your microphone was disconnected. Plug it in again and press “Try again”, or choose another one.",
  error_device_lost: "Your camera and microphone were disconnected. Plug them in again and press “Try again”, or choose others.",
  error_source_video: "Your camera gives no picture: it is covered or switched off on the device. Please switch it on there.",
  error_source_audio: "Your microphone gives no sound: it is switched off on the device. Please switch it on there.",
  error_source: "Camera and microphone are switched off on the device. Please switch them on there.",
  own_device_lost_video: "Your camera was disconnected; the others still hear you. Plug it in again and press “Try again”, or choose another one.",
  own_device_lost_audio: "Your microphone was disconnected: nobody hears you. Plug it in again and press “Try again”, or choose another one.",
  own_permission_denied_video: "The browser has taken the camera away; the others still hear you. Press the camera sign beside the page address, choose “Allow”, then “Try again”.",
  own_permission_denied_audio: "The browser has taken the microphone away: nobody hears you. Press the sign beside the page address, choose “Allow”, then “Try again”.",
  own_permission_denied: "The browser has taken camera and microphone away: nobody sees or hears you. Press the sign beside the page address, choose “Allow”, then “Try again”.",
  own_source_video: "The others do not see you: your camera is switched off on the device. Please switch it on there.",
  own_source_audio: "Nobody hears you: your microphone is switched off on the device. Please switch it on there.",
  own_interrupted_video: "Your camera is held by a phone call or another app. It comes back when that has ended.",
  own_interrupted_audio: "Nobody hears you: a phone call or another app holds your microphone. It comes back when that has ended.",
  own_interrupted: "A phone call or another app holds your camera and microphone. They come back when that has ended; the others are told.",
  error_insecure_context: "This page is not secure, so the browser gives it no camera. Open the link again: it must begin with https.",
  error_unsupported: "This browser cannot hold video calls. Please use a recent Chrome, Edge, Firefox or Safari.",
  error_no_network: "The service cannot be reached. Please check your internet connection, then press the large button again.",
  error_timeout: "The service does not answer. Please try again in a moment.",
  error_media_blocked:
    "Picture and sound do not get through your network. Another network may help, for instance that of your phone.",
  error_no_common_codec: "This browser and the service have no picture format in common. Please try another browser.",
  error_no_token: "The link to this consultation is not complete. Please open the link you were sent once more.",
  error_unauthorized: "This link is not valid. Please open the link you were sent once more, or ask for a new one.",
  error_token_expired: "This link has expired. Please ask for a new one.",
  error_forbidden: "This link does not open this consultation. Please ask for a new one.",
  error_room_full: "This consultation is full: nobody else can join at the moment.",
  error_duplicate_join: "You have joined from another window or device.",
  error_conflict: "You have joined this consultation from another window in another role. Close that window first.",
  error_too_many_requests: "There were too many attempts. Please wait a minute, then try again.",
  error_draining: "The service is being restarted. Please try again in a minute.",
  error_other: "Something went wrong ({code}). Please try again.",
};

const fr = {
  title: "Téléconsultation",
  other_language: "English",
  skip: "Aller à la consultation",

  lobby_title: "Avant d’entrer",
  lobby_lead: "Vérifiez que vous vous voyez et que la barre de son bouge quand vous parlez.",
  camera: "Caméra",
  microphone: "Microphone",
  speaker: "Haut-parleur",
  no_camera: "Sans caméra",
  no_microphone: "Sans microphone",
  default_speaker: "Le haut-parleur habituel",
  unnamed_camera: "Caméra {number}",
  unnamed_microphone: "Microphone {number}",
  unnamed_speaker: "Haut-parleur {number}",
  level: "Niveau sonore de votre microphone",
  level_silent: "Dites quelques mots : la barre doit bouger.",
  level_heard: "Nous vous entendons.",
  level_waiting: "Cliquez n’importe où sur cette page pour essayer votre microphone.",
  level_off: "Votre microphone n’est pas utilisé.",
  test_sound: "Jouer un son d’essai",
  test_sound_playing: "Vous devez entendre trois notes.",
  your_picture: "Votre image",
  you: "Vous",
  preview_off: "Votre caméra n’est pas utilisée.",
  preview_opening: "Ouverture de votre caméra…",

  join: "Rejoindre la consultation",
  join_audio: "Rejoindre avec le son seulement",
  join_video: "Rejoindre avec l’image seulement",
  join_listen: "Rejoindre pour voir et écouter seulement",
  try_again: "Réessayer",
  sound_only: "Utiliser seulement le microphone",

  asking: "Votre navigateur peut demander d’utiliser la caméra et le microphone. Choisissez « Autoriser ».",
  ready: "Vous êtes prêt. Appuyez sur le grand bouton pour entrer.",
  ready_audio: "Votre microphone fonctionne. Vous pouvez entrer avec le son seulement.",
  ready_video: "Votre caméra fonctionne. Vous pouvez entrer avec l’image seulement.",
  ready_listen: "Vous pouvez entrer sans caméra ni microphone : vous verrez et entendrez les autres.",
  joining: "Connexion…",
  connecting: "Vous êtes entré. L’image et le son se connectent…",
  alone: "Vous êtes entré. Patientez ici : l’autre personne n’est pas encore arrivée.",
  alone_again: "Vous êtes seul maintenant. Vous pouvez patienter ici : l’autre personne peut revenir.",
  with_one: "Vous êtes en ligne avec {who}.",
  with_many: "Vous êtes en ligne avec {count} personnes.",
  reconnecting: "La connexion au service est perdue. Nous la rétablissons ; restez sur cette page.",
  reconnected: "La connexion est rétablie.",
  media_lost: "L’image et le son sont interrompus. Nous les rétablissons ; restez sur cette page.",
  network_poor: "Votre connexion à internet est faible : l’image et le son peuvent s’arrêter par moments.",
  network_good: "La connexion à internet est de nouveau bonne.",
  other_joined: "{Who} est en ligne.",
  other_left: "{Who} a quitté la consultation.",
  other_interrupted: "La connexion est perdue avec {who}. Patientez : elle peut revenir dans un instant.",
  other_back: "{Who} est de retour.",
  draining: "Le service redémarrera après cette consultation.",
  sound_blocked: "Votre navigateur coupe le son tant que vous n’appuyez pas sur « Activer le son ».",
  turn_on_sound: "Activer le son",
  you_muted: "Votre microphone est coupé : personne ne vous entend.",

  mute: "Couper le micro",
  unmute: "Rallumer le micro",
  hide: "Couper la caméra",
  show: "Rallumer la caméra",
  devices: "Caméra et son",
  devices_close: "Terminé",
  leave: "Quitter",
  controls: "Commandes",
  people: "Personnes présentes",
  enlarge: "Agrandir l’image : {who}",

  other_video_user: "{Who} a coupé la caméra.",
  other_audio_user: "{Who} a coupé le micro.",
  other_video_source: "Pas d’image chez {who} : la caméra est coupée sur l’appareil.",
  other_audio_source: "Pas de son chez {who} : le micro est coupé sur l’appareil.",
  other_video_device_lost: "Chez {who}, la caméra a été débranchée.",
  other_audio_device_lost: "Chez {who}, le micro a été débranché. Vous êtes peut-être encore entendu.",
  other_video_permission_denied: "Chez {who}, le navigateur n’autorise plus la caméra.",
  other_audio_permission_denied: "Chez {who}, le navigateur n’autorise plus le micro. Vous êtes peut-être encore entendu.",
  other_held: "{Who} est retenu, peut-être par un appel téléphonique. Patientez un instant.",
  other_stalled: "Rien n’arrive de chez {who} en ce moment. Patientez : la connexion peut revenir.",
  other_video_stalled: "L’image est arrêtée chez {who}. Le son continue.",
  other_audio_stalled: "Aucun son n’arrive de chez {who} en ce moment. Patientez un instant.",

  badge_muted: "Micro coupé",
  badge_silent: "Micro coupé sur l’appareil",
  badge_interrupted: "Au téléphone ?",
  badge_sound_stalled: "Son interrompu",
  badge_stalled: "Image interrompue",
  badge_no_microphone: "Sans micro",
  tile_camera_off: "La caméra est coupée",
  tile_camera_silent: "La caméra est coupée sur l’appareil",
  tile_camera_lost: "La caméra a été débranchée",
  tile_camera_denied: "La caméra n’est pas autorisée",
  tile_interrupted: "Peut-être au téléphone : patientez",
  tile_no_camera: "Sans caméra",
  self_camera_off: "Caméra coupée",
  tile_waiting: "L’image arrive…",
  badge_lost: "Connexion perdue",

  role_patient: "le patient",
  role_companion: "l’accompagnant",
  role_practitioner: "le praticien",
  role_requester: "le praticien requérant",
  role_expert: "l’expert",
  role_assistant: "l’assistant",
  role_interpreter: "l’interprète",
  role_device: "l’appareil",
  role_observer: "l’observateur",
  role_recorder: "l’enregistreur",
  role_other: "l’autre personne",

  left_title: "Vous avez quitté la consultation",
  ended_title: "La consultation est terminée",
  lost_title: "Vous n’êtes plus connecté",
  duplicate_join_title: "La consultation est ouverte ailleurs",
  after_left: "Vous pouvez fermer cette page.",
  after_ended: "Vous pouvez fermer cette page.",
  after_duplicate_join: "Vous êtes entré depuis une autre fenêtre ou un autre appareil. Continuez là-bas.",
  rejoin: "Entrer de nouveau",

  error_permission_denied_video:
    "Le navigateur n’a pas le droit d’utiliser votre caméra. Appuyez sur le signe à côté de l’adresse de la page, choisissez « Autoriser », puis « Réessayer ».",
  error_permission_denied_audio:
    "Le navigateur n’a pas le droit d’utiliser votre microphone. Appuyez sur le signe à côté de l’adresse de la page, choisissez « Autoriser », puis « Réessayer ».",
  error_permission_denied:
    "Le navigateur n’a pas le droit d’utiliser votre caméra et votre microphone. Appuyez sur le signe à côté de l’adresse de la page, choisissez « Autoriser », puis « Réessayer ».",
  error_no_device_video: "Aucune caméra n’a été trouvée. Si vous en avez une, branchez-la et appuyez sur « Réessayer ».",
  error_no_device_audio: "Aucun microphone n’a été trouvé. Si vous en avez un, branchez-le et appuyez sur « Réessayer ».",
  error_no_device: "Ni caméra ni microphone n’ont été trouvés. Si vous en avez, branchez-les et appuyez sur « Réessayer ».",
  error_device_busy_video: "Un autre programme utilise votre caméra. Fermez ce programme, puis appuyez sur « Réessayer ».",
  error_device_busy_audio: "Un autre programme utilise votre microphone. Fermez ce programme, puis appuyez sur « Réessayer ».",
  error_device_busy:
    "Un autre programme utilise votre caméra et votre microphone. Fermez ce programme, puis appuyez sur « Réessayer ».",
  error_device_failed:
    "Votre caméra ou votre microphone n’a pas démarré. Débranchez-le, rebranchez-le, puis appuyez sur « Réessayer ».",
  error_device_lost_video: "Votre caméra a été débranchée. Rebranchez-la et appuyez sur « Réessayer », ou choisissez-en une autre.",
  error_device_lost_audio: "Votre microphone a été débranché. Rebranchez-le et appuyez sur « Réessayer », ou choisissez-en un autre.",
  error_device_lost: "Votre caméra et votre microphone ont été débranchés. Rebranchez-les et appuyez sur « Réessayer », ou choisissez-en d’autres.",
  error_source_video: "Votre caméra ne donne pas d’image : elle est cachée ou coupée sur l’appareil. Rallumez-la là.",
  error_source_audio: "Votre microphone ne donne pas de son : il est coupé sur l’appareil. Rallumez-le là.",
  error_source: "La caméra et le microphone sont coupés sur l’appareil. Rallumez-les là.",
  own_device_lost_video: "Votre caméra a été débranchée ; les autres vous entendent toujours. Rebranchez-la et appuyez sur « Réessayer », ou choisissez-en une autre.",
  own_device_lost_audio: "Votre microphone a été débranché : personne ne vous entend. Rebranchez-le et appuyez sur « Réessayer », ou choisissez-en un autre.",
  own_permission_denied_video: "Le navigateur a repris la caméra ; les autres vous entendent toujours. Appuyez sur le signe à côté de l’adresse de la page, choisissez « Autoriser », puis « Réessayer ».",
  own_permission_denied_audio: "Le navigateur a repris le microphone : personne ne vous entend. Appuyez sur le signe à côté de l’adresse de la page, choisissez « Autoriser », puis « Réessayer ».",
  own_permission_denied: "Le navigateur a repris la caméra et le microphone : personne ne vous voit ni ne vous entend. Appuyez sur le signe à côté de l’adresse de la page, choisissez « Autoriser », puis « Réessayer ».",
  own_source_video: "Les autres ne vous voient pas : votre caméra est coupée sur l’appareil. Rallumez-la là.",
  own_source_audio: "Personne ne vous entend : votre microphone est coupé sur l’appareil. Rallumez-le là.",
  own_interrupted_video: "Un appel téléphonique ou une autre application tient votre caméra. Elle reviendra après.",
  own_interrupted_audio: "Personne ne vous entend : un appel téléphonique ou une autre application tient votre microphone. Il reviendra après.",
  own_interrupted: "Un appel téléphonique ou une autre application tient votre caméra et votre microphone. Ils reviendront après ; les autres sont prévenus.",
  error_insecure_context:
    "Cette page n’est pas sécurisée : le navigateur lui refuse la caméra. Ouvrez le lien à nouveau : il doit commencer par https.",
  error_unsupported:
    "Ce navigateur ne permet pas les appels vidéo. Utilisez une version récente de Chrome, Edge, Firefox ou Safari.",
  error_no_network:
    "Le service est injoignable. Vérifiez votre connexion à internet, puis appuyez de nouveau sur le grand bouton.",
  error_timeout: "Le service ne répond pas. Réessayez dans un instant.",
  error_media_blocked:
    "L’image et le son ne passent pas par votre réseau. Un autre réseau peut aider, par exemple celui de votre téléphone.",
  error_no_common_codec: "Ce navigateur et le service n’ont aucun format d’image en commun. Essayez un autre navigateur.",
  error_no_token: "Le lien vers cette consultation est incomplet. Ouvrez à nouveau le lien que vous avez reçu.",
  error_unauthorized: "Ce lien n’est pas valable. Ouvrez à nouveau le lien que vous avez reçu, ou demandez-en un autre.",
  error_token_expired: "Ce lien n’est plus valable. Demandez-en un nouveau.",
  error_forbidden: "Ce lien n’ouvre pas cette consultation. Demandez-en un autre.",
  error_room_full: "Cette consultation est complète : personne d’autre ne peut entrer pour le moment.",
  error_duplicate_join: "Vous êtes entré depuis une autre fenêtre ou un autre appareil.",
  error_conflict: "Vous êtes déjà entré depuis une autre fenêtre, avec un autre rôle. Fermez d’abord cette fenêtre.",
  error_too_many_requests: "Il y a eu trop d’essais. Attendez une minute, puis réessayez.",
  error_draining: "Le service redémarre. Réessayez dans une minute.",
  error_other: "Un problème est survenu ({code}). Réessayez.",
};

const WORDS = { en, fr };

/** The language to begin with: `?lang=`, else what the browser prefers, else English. */
export function firstLanguage(asked, preferred) {
  const wanted = [asked, ...preferred].map((tag) => (tag ?? "").slice(0, 2).toLowerCase());
  return wanted.find((tag) => LANGUAGES.includes(tag)) ?? "en";
}

/** One sentence. `{name}` is replaced by values.name, `{Name}` by the same with a capital. */
export function words(language, key, values = {}) {
  const text = WORDS[language][key] ?? WORDS.en[key] ?? key;
  // French signs keep to their word at the end of a line.
  const whole = language === "fr" ? text.replace(/ ([»:;?!])/g, "\u00a0$1").replace(/« /g, "«\u00a0") : text;
  return whole.replace(/\{(\w)(\w*)\}/g, (_, first, rest) => {
    const value = String(values[first.toLowerCase() + rest] ?? "");
    return first === first.toLowerCase() ? value : value.charAt(0).toUpperCase() + value.slice(1);
  });
}

/**
 * The sentence for an error's code; `kind` ("audio", "video") names the device where one is meant, and during the call
 * there may be another one.
 */
export function problemKey(code, kind = null, isInCall = false) {
  const tail = kind ? `${code}_${kind}` : code;
  const tries = [isInCall && `own_${tail}`, `error_${tail}`, kind && `error_${code}`];
  return tries.find((key) => key && key in en) ?? "error_other";
}

/** Whom a role names, as a word inside a sentence. */
export const roleKey = (role) => (`role_${role}` in en ? `role_${role}` : "role_other");
